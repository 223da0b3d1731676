"""Near-duplicates and outliers held back: what it changes, on pools as they are and on pools made worse on purpose.

    python -m benchmarks.batches --data-dir DATA      # about 10 minutes on one core
    python -m benchmarks.batches --render             # the page anew from the results

*As it is*: 3,000 texts. *Copies*: a half of the pool is the other half again with two words more. *Strangers*: one
text in twenty is from another dataset, with a class at random. Vectors of the frozen embedded encoder, a logistic
regression. Writes batches.json beside this file, and BATCHES.md from it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import machine
from benchmarks.next_batch import next_batch
from nearmiss import load_dataset
from nearmiss.acquisition.registry import make_strategy
from nearmiss.analysis.significance import paired_difference
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Pooling
from nearmiss.models.logistic import LogisticHead, LogisticSettings
from nearmiss.text.corpus import Texts

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "batches.json", HERE / "BATCHES.md"
DATASETS, STRANGER = ("agnews", "sst2", "csabstruct", "banking77"), {"agnews": "banking77"}
POOL, TEST, START, BATCH, ROUNDS, SEEDS = 3_000, 1_500, 40, 20, 15, range(5)
KINDS = ("as it is", "copies", "strangers")
#: Each beside the strategy that it wraps.
STRATEGIES = (
    "margin",
    "distinct-margin",
    "distinct-margin:threshold=0.9",
    "distinct-margin:threshold=1.0,outliers=0.05",
    "diverse-margin",
    "distinct-diverse-margin",
    "distinct-diverse-margin:threshold=0.9",
    "distinct-diverse-margin:threshold=1.0,outliers=0.05",
)
IdArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A dataset, its copies and its strangers, as vectors."""

    features: npt.NDArray[np.float32]
    copies: npt.NDArray[np.float32]
    strangers: npt.NDArray[np.float32]
    labels: IdArray
    n_classes: int


def load(name: str, data_dir: str | None) -> Material:
    """Read a dataset, the same texts with two words more, and some of another."""
    pool = load_dataset(name, data_dir, max_pool=POOL + TEST).pool
    other = load_dataset(STRANGER.get(name, "agnews"), data_dir, max_pool=POOL // 20).pool
    reader = FrozenVectors()
    longer = Texts(tuple(f"{text} As said." for text in pool.texts.first[: POOL // 2]))
    vectors = [reader.units(texts, Pooling.MEAN) for texts in (pool.texts, longer, other.texts)]
    return Material(*vectors, pool.gold(), len(pool.label_names))


def make_pool(material: Material, kind: str, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], IdArray]:
    """Make a pool of 3,000 texts."""
    X, y = material.features[:POOL], material.labels[:POOL]
    half, few = POOL // 2, len(material.strangers)
    if kind == "copies":
        return np.concatenate([X[:half], material.copies]), np.concatenate([y[:half], y[:half]])
    if kind == "strangers":
        strange = rng.integers(0, material.n_classes, few)
        return np.concatenate([X[few:], material.strangers]), np.concatenate([y[few:], strange])
    return X, y


def learn(material: Material, kind: str, strategy: str, seed: int) -> dict[str, float]:
    """Label round by round, and measure on texts that are as they are."""
    X, y = make_pool(material, kind, np.random.default_rng([seed, 0]))
    rng, chosen = np.random.default_rng([seed, 1]), make_strategy(strategy)
    labeled = rng.choice(len(y), START, replace=False).tolist()
    accuracy, held = [], 0
    for step in range(ROUNDS + 1):
        head = LogisticHead.train(X[labeled], y[labeled], material.n_classes, LogisticSettings())
        guesses = head.logits(material.features[POOL:]).argmax(axis=1)
        accuracy.append(float((guesses == material.labels[POOL:]).mean()))
        if step == ROUNDS:
            break
        rows, selection = next_batch(chosen, head, X, y, labeled, BATCH, rng)
        held += sum(int(note.split()[0]) for note in selection.notes if "repeat" in note)
        labeled += rows
    spoilt = np.mean([row >= POOL - len(material.strangers) for row in labeled]) if kind == "strangers" else 0.0
    return {"aulc": float(np.mean(accuracy)), "held": held / ROUNDS, "strangers": float(spoilt)}


def measure(data_dir: str | None, done: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in DATASETS:
        if name in done:
            continue
        material = load(name, data_dir)
        yield (
            name,
            {
                kind: {strategy: [learn(material, kind, strategy, seed) for seed in SEEDS] for strategy in STRATEGIES}
                for kind in KINDS
            },
        )


def render(results: dict[str, Any]) -> str:
    lines = [
        "# Batches that do not repeat themselves, measured",
        "",
        f"Written by `python -m benchmarks.batches`. Pools of {POOL:,} texts, {START} random labels, then",
        f"{BATCH * ROUNDS} more in batches of {BATCH}; means over {len(SEEDS)} seeds. *Gain*: of accuracy on average",
        "over the rounds, over the strategy that is wrapped, in points, with its 95 % interval (paired by seed).",
        "*Held back*: near-duplicates a batch. *Strangers*: texts of another dataset among the labelled ones (5 % of",
        "the pool).",
        "",
        f"{results['machine']}, {results['date']}.",
        "",
    ]
    for kind in KINDS:
        lines += [f"## {kind.capitalize()}", "", "| | " + " | ".join(results["datasets"]) + " |"]
        lines.append("|---" * (1 + len(results["datasets"])) + "|")
        for strategy in STRATEGIES:
            cells = [f"`{strategy}`"]
            inner = "diverse-margin" if "diverse" in strategy else "margin"
            for found in results["datasets"].values():
                runs, base = found[kind][strategy], found[kind][inner]
                mean = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
                if strategy == inner:
                    told = f"{mean['aulc']:.3f}"
                else:
                    gain = paired_difference([run["aulc"] for run in runs], [run["aulc"] for run in base])
                    ends = gain.interval
                    told = f"{100 * gain.mean:+.1f}"
                    told += f" ({100 * ends.low:+.1f} to {100 * ends.high:+.1f})" if ends else ""
                    told += f"; {mean['held']:.1f} held back" if "outliers" not in strategy else ""
                cells.append(told + (f"; {100 * mean['strangers']:.0f} % strangers" if kind == "strangers" else ""))
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder that holds datasets as folders")
    parser.add_argument("--render", action="store_true", help="only write the page anew")
    asked = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"datasets": {}}
    if not asked.render:
        for name, found in measure(asked.data_dir, results["datasets"]):
            results["datasets"][name] = found
            results |= {"machine": machine.in_short(), "date": str(date.today())}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(name, flush=True)
    PAGE.write_text(render(results))


if __name__ == "__main__":
    main()
