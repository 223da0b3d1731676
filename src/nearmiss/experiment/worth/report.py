"""The figures of simulated projects, as a page of Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nearmiss.analysis.proportions import share_interval
from nearmiss.experiment.journal import write_atomically
from nearmiss.experiment.worth.judging import AHEAD, Said
from nearmiss.experiment.worth.records import WIDTHS_AT, ProjectRecord, Saving
from nearmiss.experiment.worth.stopping import PRICE, Stop
from nearmiss.loop.streams import named_generator

__all__ = ["CHOSEN_ON", "figures", "page", "write_report"]

#: The datasets on which the numbers of the priors were chosen; what is said of others is no echo of that.
CHOSEN_ON = frozenset({"agnews", "banking77", "csabstruct", "dbpedia", "dbpedia-6k", "sst2"})
#: A warning is given from this probability on that random labels would have been better.
_WARNED = 0.9

Figures = dict[str, Any]


def figures(records: Sequence[ProjectRecord]) -> Figures:
    """Work out every figure: for all projects, for datasets that nothing was chosen on, and for each dataset."""
    groups = {"all": list(records)}
    fresh = [record for record in records if record.dataset not in CHOSEN_ON]
    if fresh and len(fresh) < len(records):
        groups["held out"] = fresh
    for record in records:
        groups.setdefault(record.dataset, []).append(record)
    return {name: _of(group) for name, group in groups.items()}


def page(found: Figures) -> str:
    """Write the figures as Markdown."""
    everything = found["all"]
    stops = everything["stops"]
    parts = [
        "# What projects say of themselves, and whether it is true",
        "",
        "Written by `nearmiss simulate-worth`: simulated labelling projects on real data, in which the answer to every "
        "question is known. Texts are read by the frozen embedded encoder, a logistic regression learns; "
        f"{everything['projects']} projects on {len(found) - 1 - ('held out' in found)} datasets, every fourth with "
        "half of its labels as random checks and twice as many labels. *Held out*: datasets on which nothing was "
        f"chosen.{_WEIGHTED if everything['weighted'] else ''}",
        "",
        "## Quality: do the 95 % intervals hold?",
        "",
        "*Always*: the share of projects in which they hold at every model that anybody could have looked at, all "
        "together. *Once*: at a model drawn at random. *Naive*: textbook intervals, as if nobody had looked before. "
        "The truth is the whole remaining pool. *Recall*: of all classes and projects, those whose intervals always "
        "hold.",
        "",
        _table(
            ("", "projects", "accuracy always", "once", "macro-F1 always", "once", "naive always", "once", "recall"),
            (
                (
                    name,
                    group["projects"],
                    *(_percent(group["quality"][key]) for key in _QUALITY),
                    _percent(group["quality"]["recalls"]),
                )
                for name, group in found.items()
            ),
        ),
        "",
        "## How wide they are",
        "",
        _table(
            ("checks", "projects", "accuracy", "macro-F1"),
            (
                (n, width["projects"], _points(width["accuracy"]), _points(width["macro_f1"]))
                for n, width in everything["widths"].items()
            ),
        ),
        "",
        "In points, for the texts that remain: where few do, what is not known of them makes the interval wider. The "
        f"estimate of accuracy lies {_points(everything['quality']['bias'], sign=True)} points off on average.",
        "",
    ]
    worth = [
        "## Savings: does the 90 % interval have the number of random labels that do as well?",
        "",
        "*Told*: how often a number is given from 60 checks on, and not “too early to tell”. *Once*: at one moment of "
        "each project, drawn at random among those at which a number is told; *any*: at all of them. *Ends*: how many "
        "times the lower end the upper one is (the pool, where it is open). *Off by*: the factor between the middle of "
        "the estimate and the truth, median.",
        "",
        _table(
            ("", "told", "holds once", "any", "truth below", "truth above", "ends", "off by"),
            ((name, *(group["savings"][key] for key in _SAVINGS)) for name, group in found.items()),
        ),
        "",
        _warnings(everything["warnings"]),
        "",
        "## Forecasts: does the 90 % interval have the gain?",
        "",
        _table(
            ("labels ahead", "forecasts", "holds", "gain less forecast, points", "width, points"),
            (
                (ahead, each["n"], _percent(each["held"]), _points(each["bias"], sign=True), _points(each["width"]))
                for ahead, each in everything["forecasts"].items()
            ),
        ),
        "",
        "## Stopping: how far from the best point in hindsight?",
        "",
        f"A hundred labels cost {100 * PRICE * 100:g} points of accuracy; *loss* is what accuracy less costs falls "
        "short of its best over the project, in points. A project that no rule stops ends when its labels do.",
        "",
        _table(
            ("rule", "stops", "labels past the best", "accuracy beyond the best's", "loss", "loss of never stopping"),
            (
                (
                    f"`{rule}`",
                    _percent(each["stopped"]),
                    f"{each['labels']:+.0f} (median {each['labels_median']:+.0f})",
                    _points(each["accuracy"], sign=True),
                    _points(each["loss"]),
                    _points(each["loss_of_going_on"]),
                )
                for rule, each in stops.items()
                if rule != "target"
            ),
        ),
        "",
    ]
    if not everything["warnings"]["asked"]:
        worth = ["Savings and forecasts are not told: weighted checks are no plain random sample.", ""]
    return "\n".join([*parts, *worth, _targets(stops["target"]), ""])


def write_report(records: Sequence[ProjectRecord], folder: Path) -> Figures:
    """Write README.md and figures.json into a folder, and give the figures."""
    found = figures(records)
    write_atomically(folder / "figures.json", (json.dumps(found, indent=1, allow_nan=False) + "\n").encode())
    write_atomically(folder / "README.md", page(found).encode())
    return found


_WEIGHTED = (
    " Checks were drawn by the model's doubt and weighed (`--weighted-checks`): compare with the same projects under "
    "uniform ones."
)
_QUALITY = ("always", "at_random", "always_f1", "at_random_f1", "naive_always", "naive_at_random")
_SAVINGS = ("told", "held_once", "held_any", "below", "above", "ends", "off_by")


def _of(records: Sequence[ProjectRecord]) -> Figures:
    quality = {key: _mean(getattr(record.coverage, key) for record in records) for key in _QUALITY}
    recalls = sum(record.coverage.recalls for record in records)
    quality["recalls"] = sum(record.coverage.recalls_always for record in records) / max(1, recalls)
    quality["bias"] = _mean(record.coverage.bias for record in records)
    low = share_interval(sum(record.coverage.always for record in records), len(records), 0.05).low
    return {
        "projects": len(records),
        "weighted": any(record.plan.weighted for record in records),
        "quality": quality | {"always_at_least": round(low, 4)},
        "widths": {n: _width(records, n) for n in WIDTHS_AT},
        "savings": _savings(records),
        "warnings": _warned([saving for record in records for saving in record.savings if saving.checks >= 60]),
        "forecasts": {ahead: _forecast(records, ahead) for ahead in AHEAD},
        "stops": _stops(records),
    }


def _width(records: Sequence[ProjectRecord], n: int) -> Figures:
    reached = [record.coverage for record in records if n in record.coverage.widths]
    return {
        "projects": len(reached),
        "accuracy": _mean(each.widths[n] for each in reached),
        "macro_f1": _mean(each.widths_f1[n] for each in reached),
    }


def _savings(records: Sequence[ProjectRecord]) -> Figures:
    asked = [saving for record in records for saving in record.savings if saving.checks >= 60]
    told = [saving for saving in asked if saving.told]
    once: list[Saving] = []
    for record in records:
        mine = [saving for saving in record.savings if saving.told]
        if mine:
            rng = named_generator("worth", record.dataset, "told", record.number)
            once.append(mine[int(rng.integers(len(mine)))])
    size = {id(saving): record.plan.texts for record in records for saving in record.savings}
    ends = [min(saving.high, size[id(saving)]) / max(1.0, saving.low) for saving in told]
    off = [max(each.value / each.true, each.true / each.value) for each in told if 0 < each.true < np.inf]
    return {
        "told": _percent(len(told) / max(1, len(asked))),
        "held_once": f"{_percent(_mean(saving.held for saving in once))} of {len(once)}",
        "held_any": _percent(_mean(saving.held for saving in told)),
        "below": _percent(_mean(saving.true < saving.low for saving in told)),
        "above": _percent(_mean(saving.true > saving.high for saving in told)),
        "ends": f"{np.median(ends):.1f}" if ends else "–",
        "off_by": f"{np.median(off):.2f}" if off else "–",
    }


def _warned(asked: Sequence[Saving]) -> Figures:
    warned = [saving for saving in asked if saving.worse >= _WARNED]
    worse = [saving for saving in asked if saving.truly_worse]
    return {
        "asked": len(asked),
        "warned": len(warned),
        "rightly": sum(saving.truly_worse for saving in warned),
        "truly_worse": len(worse),
        "found": sum(saving.worse >= _WARNED for saving in worse),
    }


def _forecast(records: Sequence[ProjectRecord], ahead: int) -> Figures:
    said: list[Said] = [
        saving.gains[ahead]
        for record in records
        for saving in record.savings
        if saving.checks >= 60 and ahead in saving.gains
    ]
    return {
        "n": len(said),
        "held": _mean(each.held for each in said),
        "bias": _mean(each.true - each.value for each in said),
        "width": _mean(each.high - each.low for each in said),
    }


def _stops(records: Sequence[ProjectRecord]) -> Figures:
    by_rule: dict[str, list[tuple[Stop, ProjectRecord]]] = {}
    for record in records:
        for stop in record.stops:
            by_rule.setdefault("target" if stop.rule.startswith("target") else stop.rule, []).append((stop, record))
    return {rule: _stop(stops) for rule, stops in by_rule.items()}


def _stop(stops: Sequence[tuple[Stop, ProjectRecord]]) -> Figures:
    past = [stop.labels - stop.best_labels for stop, _ in stops]

    def loss(accuracy: Callable[[Stop], float], labels: Callable[[Stop, ProjectRecord], int]) -> float | None:
        worth = [accuracy(stop) - PRICE * labels(stop, record) for stop, record in stops]
        best = [stop.best_accuracy - PRICE * stop.best_labels for stop, _ in stops]
        return _mean(b - w for b, w in zip(best, worth, strict=True))

    stopped = [stop for stop, _ in stops if stop.stopped]
    return {
        "projects": len(stops),
        "stopped": _mean(stop.stopped for stop, _ in stops),
        "labels": _mean(past),
        "labels_median": float(np.median(past)) if past else 0.0,
        "accuracy": _mean(stop.accuracy - stop.best_accuracy for stop, _ in stops),
        "loss": loss(lambda stop: stop.accuracy, lambda stop, _: stop.labels),
        "loss_of_going_on": loss(lambda stop: stop.last_accuracy, lambda stop, record: record.plan.labels),
        "too_early": _mean(stop.accuracy < float(stop.rule.partition(":")[2]) for stop in stopped)
        if stopped and stopped[0].rule.startswith("target")
        else 0.0,
    }


def _warnings(found: Figures) -> str:
    return (
        f"The warning that random labels would do better was given {found['warned']} times of {found['asked']}, "
        f"{found['rightly']} times rightly; they would have been better {found['truly_worse']} times, of which "
        f"{found['found']} were told."
    )


def _targets(found: Figures) -> str:
    return (
        "Asked for a target ten points below the best accuracy of the project, advice stopped "
        f"{_percent(found['stopped'])} of {found['projects']} projects, {_percent(found['too_early'])} of these before "
        f"the target was truly reached; {found['labels']:.0f} labels (median {found['labels_median']:.0f}) and "
        f"{_points(found['accuracy'])} points of accuracy beyond the first model that had reached it for good. That is "
        "the price of being sure: the lower bound must reach the target."
    )


def _table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines: list[Iterable[object]] = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _mean(values: Iterable[float]) -> float | None:
    """Give the mean; None of nothing."""
    found = [float(value) for value in values]
    return round(float(np.mean(found)), 5) if found else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _points(share: float | None, *, sign: bool = False) -> str:
    return "–" if share is None else f"{100 * share:{'+' if sign else ''}.1f}"
