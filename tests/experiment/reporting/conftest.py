"""Made-up results whose every number is known beforehand, and readers of what is made of them."""

import io
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from nearmiss.experiment.protocol import protocol_named
from nearmiss.experiment.records import (
    BatchProfile,
    ExperimentResult,
    FullSupervision,
    RoundRecord,
    RoundTiming,
    RunResult,
)
from nearmiss.experiment.report import summary_table
from nearmiss.experiment.reproduction import Reproduction
from nearmiss.experiment.spec import ExperimentSpec, RunKey

PAPER = ("random", "entropy", "margin", "bertkm", "badge", "alps", "cal", "diverse-margin", "diverse-cal")


def _run(strategy, seed, accuracies, first=200, batch=60, log_loss=0.5, ood=None):
    """One run with the given accuracies; selection takes 0.25 s, inference 2 s."""
    last = len(accuracies) - 1
    rounds = tuple(
        RoundRecord(
            round=i,
            n_labeled=first + i * batch,
            acquired=(i,),
            accuracy=accuracy,
            macro_f1=accuracy - 0.01,
            log_loss=log_loss,
            expected_calibration_error=0.04,
            ood_accuracy={} if ood is None or i < last else ood,
        )
        for i, accuracy in enumerate(accuracies)
    )
    timings = tuple(RoundTiming(i, 2.0 * bool(i), 0.25 * bool(i), 1.5, 0.1, 3 * 2**20) for i in range(len(rounds)))
    return RunResult(RunKey(strategy, seed), rounds, timings)


def _result_of(runs, strategies=None, seeds=None, dataset="dbpedia-6k", notes=(), max_pool=None):
    spec = ExperimentSpec(
        dataset,
        strategies or tuple(dict.fromkeys(r.key.strategy for r in runs)),
        seeds=seeds or tuple(dict.fromkeys(r.key.seed for r in runs)),
        initial=200,
        batch=60,
        budget=500,
        max_pool=max_pool,
    )
    return ExperimentResult(spec, tuple(runs), pool_size=6000, test_size=2000, notes=notes, wall_seconds=287.0)


def _grid(strategies=PAPER, seeds=(0, 1, 2), n_rounds=6, **settings):
    """Curves that rise at each function's own pace with a little noise."""
    runs = []
    for position, strategy in enumerate(strategies):
        for seed in seeds:
            rng = np.random.default_rng([position, seed])
            steps = 0.86 + 0.01 * position * (np.arange(n_rounds) > 0) + 0.004 * np.arange(n_rounds)
            runs.append(_run(strategy, seed, (steps + rng.normal(0, 0.003, n_rounds)).tolist()))
    return _result_of(runs, **settings)


def _clear_result():
    """Margin is ahead by 2 points in every seed, cal behind by 3, entropy undecided."""
    base = {0: 0.80, 1: 0.81, 2: 0.82}
    gains = {
        "random": (0.0, 0.0, 0.0),
        "margin": (0.020, 0.021, 0.022),
        "cal": (-0.030, -0.031, -0.033),
        "entropy": (0.01, -0.012, 0.004),
    }
    return _result_of(
        [_run(strategy, seed, [base[seed] + gain[seed]] * 3) for strategy, gain in gains.items() for seed in base]
    )


class PageParser(HTMLParser):
    """Reads a page strictly: every tag closed in order, every id once; keeps text and attributes."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.text, self.tags, self.attributes = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _parsed(path):
    parser = PageParser()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    return parser


def _words(parser):
    return " ".join(" ".join(parser.text).split())


def _terminal(result, width=100):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(summary_table(result, width))
    return console.file.getvalue()


@pytest.fixture(name="run")
def run_fixture():
    return _run


@pytest.fixture(name="result_of")
def result_of_fixture():
    return _result_of


@pytest.fixture(name="grid")
def grid_fixture():
    return _grid


@pytest.fixture(name="clear_result")
def clear_result_fixture():
    return _clear_result


@pytest.fixture(name="parsed")
def parsed_fixture():
    return _parsed


@pytest.fixture(name="words")
def words_fixture():
    return _words


@pytest.fixture(name="terminal")
def terminal_fixture():
    return _terminal


LAPTOP = protocol_named("laptop")
SEEDS = (0, 1, 2)


def _experiment(dataset, functions, gains, seeds=SEEDS, ood=None, capped=True, spec=None):
    """Curves of eight rounds, a little noise about each function's gain over the same base."""
    spec = spec or LAPTOP.spec(dataset).replace(strategies=functions, seeds=seeds)
    runs = []
    for function in functions:
        for seed in seeds:
            rng = np.random.default_rng([len(function), seed, len(dataset)])
            steps = 0.7 + 0.01 * seed + gains.get(function, 0.0) * (np.arange(8) > 0) + 0.01 * np.arange(8)
            runs.append(_run(function, seed, (steps + rng.normal(0, 0.002, 8)).tolist(), 30, 60, ood=ood))
    notes = ("pool capped at 3,000 of 60,614 texts, drawn by class",) if capped else ()
    return ExperimentResult(spec, tuple(runs), pool_size=3000, test_size=872, notes=notes)


def _reproduction(datasets=("sst2", "agnews"), functions=PAPER, seeds=SEEDS, gains=None, whole=True, **settings):
    """A reproduction in which cal gains what is asked for; ``whole`` adds all that is beside the main grid."""
    gains = gains or {}
    experiments = {
        name: _experiment(
            name,
            functions,
            {"margin": 0.02, "cal": gains.get(name, 0.0)},
            seeds,
            ood={"imdb": 0.75} if name == "sst2" else None,
            **settings,
        )
        for name in datasets
    }
    if not whole:
        return Reproduction(LAPTOP, experiments)
    variants = LAPTOP.ablation_spec().replace(seeds=seeds)
    falling = {name: -0.05 for name in variants.strategies if "opposite" in name}
    ablation = _experiment("agnews", variants.strategies, falling, seeds, spec=variants, **settings)
    full = {name: tuple(FullSupervision(seed, 0.8, 0.8, 0.4, {"imdb": 0.77}) for seed in seeds) for name in datasets}
    profiles = {
        name: tuple(BatchProfile(f, seed, 0.7, 0.3, 0.35, 0.2, 2.0, 0.5) for f in functions for seed in seeds)
        for name in datasets
    }
    return Reproduction(LAPTOP, experiments, ablation, full, profiles)


@pytest.fixture(name="reproduction")
def reproduction_fixture():
    return _reproduction
