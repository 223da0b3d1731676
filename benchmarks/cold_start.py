"""How soon every class is seen, and how good the model is, when a project begins with nothing.

    python -m benchmarks.cold_start --data-dir DATA          # about 20 minutes on one core, the first time 5 more
    python -m benchmarks.cold_start --only banking77         # the others stay as they were; this one is embedded
    python -m benchmarks.cold_start --render                 # the page anew from the results

Everything runs on the vectors of the frozen embedded encoder. Writes cold_start.json beside this file, and
COLD_START.md from it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import machine
from nearmiss import load_dataset
from nearmiss.acquisition.registry import make_strategy
from nearmiss.models.base import Inference
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Pooling
from nearmiss.models.logistic import LogisticHead, LogisticSettings, log_softmax_rows
from nearmiss.session.clues import Sought, sought_labels, unseen
from nearmiss.session.first_texts import NAMES_AFTER
from nearmiss.session.ground import Ground
from nearmiss.session.labels import Label
from nearmiss.session.origins import Origin, Source
from nearmiss.session.queue import QueueEntry
from nearmiss.session.ranking import cover, rank
from nearmiss.session.seeds import mixed, seek
from nearmiss.text.corpus import Texts

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "cold_start.json", HERE / "COLD_START.md"
DATASETS, SEEDS, MOST = ("banking77", "dbpedia-6k", "nicta_piboso", "csabstruct"), range(10, 15), 10_000
SIZES, MARKS, BATCH = (50, 100), (50, 100, 150, 200, 300), 10
#: A label that is new after so many others, and the picks after which its texts are counted.
LATE_AFTER, LATE_PICKS, LATE_CLASSES = 100, 30, 4
IdArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Texts, their true classes, their vectors, and what their labels are looked for by."""

    texts: Texts
    truth: IdArray
    vectors: Callable[[Texts], npt.NDArray[np.float32]]
    names: tuple[str, ...]
    test_features: npt.NDArray[np.float32]
    test_truth: IdArray

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """The vectors of all texts."""
        return self.vectors(self.texts)

    @property
    def sought(self) -> tuple[Sought, ...]:
        """Every label, by its name."""
        return sought_labels([Label(c + 1, name) for c, name in enumerate(self.names)], names=True)

    def ground(self, rows: Iterable[int], hidden: Sequence[int] = ()) -> Ground:
        """Give what is known once these rows are labelled, those of hidden classes being skipped."""
        asked = np.fromiter(rows, np.int64)
        told = asked[~np.isin(self.truth[asked], hidden)]
        none, labels = np.empty(0, dtype=np.int64), tuple(range(1, len(self.names) + 1))
        return Ground(labels, told, self.truth[told], none, none, np.sort(asked), len(self.truth), 0, 0)

    def model(self, ground: Ground) -> LogisticHead:
        """Train on what is known."""
        return LogisticHead.train(self.features[ground.rows], ground.classes, len(self.names), LogisticSettings())

    def judged(self, rows: Sequence[int]) -> dict[str, float]:
        """Count the classes seen, and measure a model of these rows on the test set."""
        ground = self.ground(rows)
        right = self.model(ground).logits(self.test_features).argmax(axis=1) == self.test_truth
        return {"classes": ground.seen, "accuracy": round(float(right.mean()), 4)}


def load(name: str, data_dir: str | None, cache: str) -> Pool:
    """Load a dataset, and read it once."""
    dataset, reader = load_dataset(name, data_dir, max_pool=MOST), FrozenVectors(cache_dir=cache)
    texts = dataset.pool.texts
    features = reader.units(texts, Pooling.MEAN)

    def vectors(asked: Texts) -> npt.NDArray[np.float32]:
        return features if asked is texts else reader.units(asked, Pooling.MEAN)

    tested = reader.units(dataset.test.texts, Pooling.MEAN)
    return Pool(texts, dataset.pool.gold(), vectors, dataset.pool.label_names, tested, dataset.test.gold())


def first_batch(pool: Pool, method: str, share: float, n: int, rng: np.random.Generator) -> list[int]:
    """Choose n texts without any label, a share of them by the names of the labels."""
    ground = pool.ground(())
    found = seek(pool.sought, pool.texts, pool.vectors, ground, origin=Origin(Source.COVER), n=round(share * n))
    return _rows(cover(pool.features, ground, n, rng, method=method, found=found))


FIRST_BATCHES = {
    "random": ("random", 0.0),
    "k-means": ("bertkm", 0.0),
    "k-centre": ("k-center", 0.0),
    "TypiClust": ("typiclust", 0.0),
    "TypiClust and label names, in turn": ("typiclust", 0.5),
    "label names alone": ("typiclust", 1.0),
}


def goes_on(pool: Pool, a_class: float, *, names: bool, rng: np.random.Generator) -> Iterator[tuple[int, list[int]]]:
    """Label batch by batch: the pool is covered up to so many labels a class, then diverse-margin chooses.

    With names, every third pick of a batch that a model chose looks for classes not seen in the first 50 labels.
    """
    rows: list[int] = []
    while len(rows) < max(MARKS):
        ground = pool.ground(rows)
        if len(rows) < max(BATCH, a_class * len(pool.names)) or ground.seen < 2:
            rows += _rows(cover(pool.features, ground, BATCH, rng))
        else:
            rows += _model_batch(pool, ground, pool.sought if names and len(rows) >= NAMES_AFTER else (), rng)
        if len(rows) in MARKS:
            yield len(rows), rows


LOOPS = {
    "cover 10 labels, then the model": (0, False),
    "cover 10 labels, then the model and label names": (0, True),
    "cover up to 1 label a class, then the model": (1, False),
    "cover up to 2 labels a class, then the model": (2, False),
    "cover up to 2 labels a class, then the model and label names": (2, True),
    "cover up to 4 labels a class, then the model": (4, False),
}


def late_label(pool: Pool, late: int, *, seeded: bool, rng: np.random.Generator) -> int:
    """Count the texts of a class among the picks that follow its addition to a project of 100 labels."""
    rows: list[int] = []
    while len(pool.ground(rows, [late]).rows) < LATE_AFTER:
        ground = pool.ground(rows, [late])
        covering = len(ground.rows) < 2 * len(pool.names) or ground.seen < 2
        rows += _rows(cover(pool.features, ground, BATCH, rng)) if covering else _model_batch(pool, ground, (), rng)
    before = len(rows)
    skipped = [row for row in rows if pool.truth[row] == late]
    sought = tuple(each for each in pool.sought if each.label == late + 1) if seeded else ()
    while len(rows) < before + LATE_PICKS:
        rows += _model_batch(pool, pool.ground(rows), sought, rng, unlearned=skipped)
    return int((pool.truth[rows[before : before + LATE_PICKS]] == late).sum())


def _model_batch(
    pool: Pool, ground: Ground, sought: Sequence[Sought], rng: np.random.Generator, unlearned: Sequence[int] = ()
) -> list[int]:
    learned = ~np.isin(ground.rows, unlearned)
    ground = Ground(
        ground.labels,
        ground.rows[learned],
        ground.classes[learned],
        ground.audit_rows,
        ground.audit_classes,
        ground.closed_rows,
        ground.texts,
        ground.cutoff,
        ground.fresh,
    )
    said = Inference(log_probs=log_softmax_rows(pool.model(ground).logits(pool.features)))
    strategy, missing = make_strategy("diverse-margin"), unseen(sought, ground)
    ranked = rank(strategy, said, pool.features, ground, model=1, batch=BATCH, rng=rng).entries
    origin = Origin(Source.MODEL)
    found = seek(missing, pool.texts, pool.vectors, ground, origin=origin, n=BATCH // 3)
    return _rows(mixed(found, ranked, every=3))[:BATCH]


def _rows(entries: Iterable[QueueEntry]) -> list[int]:
    return [entry.item - 1 for entry in entries]


def measured(name: str, pool: Pool) -> Iterator[dict[str, Any]]:
    """Measure everything on one dataset."""
    for seed in SEEDS:
        for size in SIZES:
            for method, (strategy, share) in FIRST_BATCHES.items():
                rows = first_batch(pool, strategy, share, size, np.random.default_rng(seed))
                yield {"part": "first", "dataset": name, "method": method, "labels": size} | pool.judged(rows)
        for method, (a_class, names) in LOOPS.items():
            for labels, rows in goes_on(pool, a_class, names=names, rng=np.random.default_rng(seed)):
                yield {"part": "on", "dataset": name, "method": method, "labels": labels} | pool.judged(rows)
        for late in np.random.default_rng(seed).permutation(len(pool.names))[:LATE_CLASSES].tolist():
            for seeded in (False, True):
                found = late_label(pool, late, seeded=seeded, rng=np.random.default_rng(seed))
                yield {"part": "late", "dataset": name, "method": "seeded" if seeded else "alone", "found": found}
        print(name, seed, flush=True)


def main() -> None:
    """Measure, and write the page; or write the page alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="where datasets lie that are not embedded (NEARMISS_DATA_DIR)")
    parser.add_argument("--cache", default="runs/bench-cache", help="where the encoder's vectors are kept")
    parser.add_argument("--only", choices=DATASETS, action="append", help="measure this one. Repeatable.")
    parser.add_argument("--render", action="store_true", help="measure nothing: write the page from the results")
    options = parser.parse_args()
    if not options.render:
        before = json.loads(RESULTS.read_text()) if options.only else {"classes": {}, "rows": []}
        pools = {name: load(name, options.data_dir, options.cache) for name in options.only or DATASETS}
        rows = [row for row in before["rows"] if row["dataset"] not in pools]
        rows += [row for name, pool in pools.items() for row in measured(name, pool)]
        classes = before["classes"] | {name: len(pool.names) for name, pool in pools.items()}
        results = {"on": str(date.today()), "machine": machine.in_short(), "classes": classes, "rows": rows}
        RESULTS.write_text(written(results))
    PAGE.write_text(page(json.loads(RESULTS.read_text())))


def written(results: dict[str, Any]) -> str:
    """Write the results as JSON, one row a line."""
    rows = ",\n".join(json.dumps(row) for row in results["rows"])
    head = json.dumps({name: value for name, value in results.items() if name != "rows"})
    return f'{head[:-1]}, "rows": [\n{rows}\n]}}\n'


def page(results: dict[str, Any]) -> str:
    """Write the results as a page."""
    rows, lines = results["rows"], []
    for name, classes in results["classes"].items():
        lines += [f"## {name}, {classes} classes", "", "### A first batch, no label known", ""]
        lines += _table([row for row in rows if (row["part"], row["dataset"]) == ("first", name)], SIZES)
        lines += ["### Batches of 10, one after another", ""]
        lines += _table([row for row in rows if (row["part"], row["dataset"]) == ("on", name)], MARKS)
        lines += ["### A label added after 100 others", "", *_late(rows, name)]
    return "\n".join(
        [
            "# A cold start, measured",
            "",
            "Written by `python -m benchmarks.cold_start`. Vectors of the frozen embedded encoder, a logistic",
            f"regression on them; means over {len(SEEDS)} seeds. *Seen*: classes that a label was given of;",
            "*accuracy*: on the test set.",
            "",
            f"{results['machine']}, {results['on']}.",
            "",
            "The rule of two labels a class was chosen with other seeds on BANKING77, DBpedia, AG News and CSAbstruct;",
            "up to five classes it changes nothing, since the first model comes after ten labels.",
            "",
            *lines,
        ]
    )


def _table(rows: Sequence[dict[str, Any]], marks: Sequence[int]) -> list[str]:
    head = "".join(f" seen at {mark} | accuracy |" for mark in marks)
    lines = [f"| |{head}", f"|---|{'---|' * 2 * len(marks)}"]
    for method in dict.fromkeys(row["method"] for row in rows):
        told = [row for row in rows if row["method"] == method]
        cells = []
        for mark in marks:
            at = [row for row in told if row["labels"] == mark]
            classes, accuracy = (float(np.mean([row[key] for row in at])) for key in ("classes", "accuracy"))
            cells += [f"{classes:.1f}", f"{accuracy:.3f}"]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return [*lines, ""]


def _late(rows: Sequence[dict[str, Any]], name: str) -> list[str]:
    head = f"| | its texts among the next {LATE_PICKS} | found none |"
    lines = [head, "|---|---|---|"]
    for method, told in (("alone", "the model alone"), ("seeded", "its name as the seed")):
        found = [row["found"] for row in rows if (row["part"], row["dataset"], row["method"]) == ("late", name, method)]
        none = sum(not each for each in found)
        lines.append(f"| {told} | {np.mean(found):.1f} | {none} of {len(found)} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
