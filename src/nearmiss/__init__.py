"""Label text with as few labels as possible.

Every name below is imported when first used, so that ``import nearmiss`` is quick and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from nearmiss._version import __version__

if TYPE_CHECKING:
    from nearmiss.acquisition.base import PoolView, Selection, Signals
    from nearmiss.acquisition.contrastive import cal_scores
    from nearmiss.acquisition.registry import make_strategy, strategy_names
    from nearmiss.errors import NearmissError
    from nearmiss.experiment.report import write_report
    from nearmiss.experiment.runner import run_experiment
    from nearmiss.experiment.spec import ExperimentSpec
    from nearmiss.loop.learner import ActiveLearner
    from nearmiss.models.frozen import FrozenClassifier
    from nearmiss.models.tfidf import TfidfClassifier
    from nearmiss.models.tuned import TunedClassifier
    from nearmiss.session.project import Project
    from nearmiss.text.corpus import Corpus, Texts
    from nearmiss.text.datasets import load_dataset
    from nearmiss.text.readers import read_corpus

_HOME = {
    "ActiveLearner": "nearmiss.loop.learner",
    "Corpus": "nearmiss.text.corpus",
    "ExperimentSpec": "nearmiss.experiment.spec",
    "FrozenClassifier": "nearmiss.models.frozen",
    "NearmissError": "nearmiss.errors",
    "PoolView": "nearmiss.acquisition.base",
    "Project": "nearmiss.session.project",
    "Selection": "nearmiss.acquisition.base",
    "Signals": "nearmiss.acquisition.base",
    "Texts": "nearmiss.text.corpus",
    "TfidfClassifier": "nearmiss.models.tfidf",
    "TunedClassifier": "nearmiss.models.tuned",
    "cal_scores": "nearmiss.acquisition.contrastive",
    "load_dataset": "nearmiss.text.datasets",
    "make_strategy": "nearmiss.acquisition.registry",
    "read_corpus": "nearmiss.text.readers",
    "run_experiment": "nearmiss.experiment.runner",
    "strategy_names": "nearmiss.acquisition.registry",
    "write_report": "nearmiss.experiment.report",
}

__all__ = [
    "ActiveLearner",
    "Corpus",
    "ExperimentSpec",
    "FrozenClassifier",
    "NearmissError",
    "PoolView",
    "Project",
    "Selection",
    "Signals",
    "Texts",
    "TfidfClassifier",
    "TunedClassifier",
    "__version__",
    "cal_scores",
    "load_dataset",
    "make_strategy",
    "read_corpus",
    "run_experiment",
    "strategy_names",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        value: object = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nearmiss' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
