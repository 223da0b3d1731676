"""Rare classes: how soon they are found, and what macro-F1 gains, by strategy.

    python -m benchmarks.imbalance --data-dir DATA      # about 15 minutes on one core
    python -m benchmarks.imbalance --render             # the page anew from the results

Of each dataset some classes are made rare: so many of the pool's texts are left. A project begins with 50 random texts
and two of each rare class, as somebody has who looks for it. Vectors of the frozen embedded encoder, a logistic
regression on them. Writes imbalance.json beside this file, and IMBALANCE.md from it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, recall_score

from benchmarks import machine
from benchmarks.next_batch import next_batch
from nearmiss.acquisition.registry import make_strategy
from nearmiss.analysis.significance import paired_difference
from nearmiss.experiment.worth.benches import load_bench
from nearmiss.experiment.worth.projects import Bench
from nearmiss.models.logistic import LogisticHead, LogisticSettings

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "imbalance.json", HERE / "IMBALANCE.md"
#: Dataset, classes made rare, and the shares of the pool they are left with.
CASES = (("agnews", 1), ("dbpedia", 3), ("banking77", 8), ("csabstruct", 1))
SHARES, POOL = (0.01, 0.005), 4_000
START, KNOWN, BATCH, ROUNDS, SEEDS = 50, 2, 20, 12, range(5)
STRATEGIES = (
    "random",
    "margin",
    "diverse-margin",
    "balanced-margin",
    "anchored-margin",
    "anchored-diverse-margin",
    "anchored-balanced-margin",
    "anchored-margin:anchors=0,size=0",
)
WEIGHTS = ("none", "balanced")
IdArray = npt.NDArray[np.int64]


def scarce_pool(bench: Bench, n_rare: int, share: float, rng: np.random.Generator) -> tuple[IdArray, IdArray]:
    """Draw the rows of a pool, and the classes that are rare in it."""
    rare = rng.choice(bench.n_classes, n_rare, replace=False)
    rows = rng.permutation(len(bench.labels))
    each = max(KNOWN + 2, round(share * POOL))
    kept = [rows[bench.labels[rows] == c][:each] for c in rare]
    others = rows[~np.isin(bench.labels[rows], rare)][: POOL - sum(map(len, kept))]
    return rng.permutation(np.concatenate([*kept, others])), np.sort(rare)


def search(
    bench: Bench, rows: IdArray, rare: IdArray, strategy: str, weight: str, rng: np.random.Generator
) -> dict[str, float]:
    """Label round by round, and measure."""
    X, y = bench.features[rows], bench.labels[rows]
    known = [i for c in rare for i in np.flatnonzero(y == c)[:KNOWN]]
    labeled = list(dict.fromkeys([*known, *rng.choice(len(y), START, replace=False).tolist()]))
    chosen, settings = make_strategy(strategy), LogisticSettings(class_weight=weight)
    f1, recall = [], []
    for step in range(ROUNDS + 1):
        head = LogisticHead.train(X[labeled], y[labeled], bench.n_classes, settings)
        guesses = head.logits(bench.test_features).argmax(axis=1)
        f1.append(f1_score(bench.test_labels, guesses, average="macro", zero_division=0))
        recall.append(recall_score(bench.test_labels, guesses, labels=rare, average="macro", zero_division=0))
        if step == ROUNDS:
            break
        labeled += next_batch(chosen, head, X, y, labeled, BATCH, rng)[0]
    found = float(np.isin(y[labeled], rare).sum() - len(known)) / float(np.isin(y, rare).sum() - len(known))
    return {"aulc": float(np.mean(f1)), "f1": f1[-1], "recall": recall[-1], "found": found}


def measure(data_dir: str | None, done: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, n_rare in CASES:
        bench = None
        for share in SHARES:
            if f"{name} {share}" in done:
                continue
            bench = bench or load_bench(name, data_dir)
            runs: dict[str, list[dict[str, float]]] = {}
            for seed in SEEDS:
                rows, rare = scarce_pool(bench, n_rare, share, np.random.default_rng([seed, 0]))
                for strategy in STRATEGIES:
                    for weight in WEIGHTS:
                        rng = np.random.default_rng([seed, 1])
                        runs.setdefault(f"{strategy} {weight}", []).append(
                            search(bench, rows, rare, strategy, weight, rng)
                        )
            yield {"dataset": name, "rare": n_rare, "share": share, "runs": runs}


def render(results: dict[str, Any]) -> str:
    lines = [
        "# Rare classes, measured",
        "",
        "Written by `python -m benchmarks.imbalance`. Pools of 4,000 texts in which some classes are made rare; a",
        f"project begins with {START} random texts and {KNOWN} of each rare class, and labels {BATCH * ROUNDS} more in",
        f"batches of {BATCH}. Vectors of the frozen embedded encoder, a logistic regression; means over {len(SEEDS)} "
        "seeds.",
        "*AULC*: macro-F1 on average over the rounds, the test set being as it was; *gain* over margin, with its 95 %",
        "interval (paired by seed); *recall*: of the rare classes at the end; *found*: of their texts in the pool.",
        "*SEALS* is `anchored-margin:anchors=0,size=0`. Weighted: classes weigh alike in training.",
        "",
        f"{results['machine']}, {results['date']}.",
        "",
    ]
    for case in results["cases"].values():
        many = "one class" if case["rare"] == 1 else f"{case['rare']} classes"
        lines += [
            f"## {case['dataset']}, {many} at {100 * case['share']:g} %",
            "",
            "| | AULC | gain | recall | found | AULC weighted | gain | recall | found |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for strategy in STRATEGIES:
            cells = [strategy.replace("anchored-margin:anchors=0,size=0", "SEALS")]
            for weight in WEIGHTS:
                runs, base = case["runs"][f"{strategy} {weight}"], case["runs"][f"margin {weight}"]
                mean = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
                gain = "–"
                if strategy != "margin":
                    found = paired_difference([run["aulc"] for run in runs], [run["aulc"] for run in base])
                    ends = found.interval
                    gain = f"{100 * found.mean:+.1f}"
                    gain += f" ({100 * ends.low:+.1f} to {100 * ends.high:+.1f})" if ends else ""
                cells += [f"{mean['aulc']:.3f}", gain, f"{mean['recall']:.2f}", f"{mean['found']:.2f}"]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder that holds datasets as folders")
    parser.add_argument("--render", action="store_true", help="only write the page anew")
    asked = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    if not asked.render:
        for case in measure(asked.data_dir, results["cases"]):
            results["cases"][f"{case['dataset']} {case['share']}"] = case
            results |= {"machine": machine.in_short(), "date": str(date.today())}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(case["dataset"], case["share"], flush=True)
    PAGE.write_text(render(results))


if __name__ == "__main__":
    main()
