"""A reproduction as every figure and table reads it: summarised once, in one order, under the paper's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nearmiss.analysis.curves import LearningCurves
from nearmiss.errors import InvalidInput
from nearmiss.experiment.records import ExperimentResult
from nearmiss.experiment.reporting.formats import count, listing
from nearmiss.experiment.reporting.summary import FunctionSummary, Summary, capped_pool, summarize
from nearmiss.experiment.reporting.targets import paper
from nearmiss.experiment.reproduction import Reproduction
from nearmiss.text.catalog import CATALOG

__all__ = [
    "STAND_INS",
    "Grid",
    "dataset_title",
    "function_title",
    "paper_dataset",
    "read_grid",
    "titled",
]

#: Datasets that take the place of one of the paper's: the same kind of task on other texts.
STAND_INS: Mapping[str, str] = {"csabstruct": "pubmed", "nicta_piboso": "pubmed"}


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The main grid in numbers.

    Attributes
    ----------
    reproduction
        What it was read from.
    summaries
        By dataset, those with a finished run, in the protocol's order.
    functions
        Strategies with a finished run on some dataset, in the protocol's order.
    """

    reproduction: Reproduction
    summaries: Mapping[str, Summary]
    functions: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Datasets with a finished run."""
        return tuple(self.summaries)

    def result(self, dataset: str) -> ExperimentResult:
        """Give the experiment behind a summary."""
        return self.reproduction.experiments[dataset]

    def function(self, dataset: str, strategy: str) -> FunctionSummary | None:
        """Find one function on one dataset; None where no run of it is finished."""
        found = [one for one in self.summaries[dataset].functions if one.strategy == strategy]
        return found[0] if found else None

    def curves(self, dataset: str) -> dict[str, LearningCurves]:
        """Learning curves of a dataset by function."""
        return {one.strategy: one.accuracy for one in self.summaries[dataset].functions}


def read_grid(reproduction: Reproduction) -> Grid:
    """Summarise every experiment of a reproduction.

    Raises
    ------
    InvalidInput
        No run of the main grid is finished.
    """
    known = [
        *(name for name in reproduction.protocol.datasets if name in reproduction.experiments),
        *(name for name in reproduction.experiments if name not in reproduction.protocol.datasets),
    ]
    results = {name: reproduction.experiments[name] for name in known}
    summaries = {
        name: summarize(result, reproduction.full.get(name, ()))
        for name, result in results.items()
        if any(run.rounds for run in result.runs)
    }
    if not summaries:
        raise InvalidInput(
            f"no run of {reproduction.protocol.name} is finished, so there is nothing to show; start the reproduction"
            " again and let at least one run end"
        )
    present = dict.fromkeys(one.strategy for summary in summaries.values() for one in summary.functions)
    ordered = dict.fromkeys([*reproduction.protocol.functions, *present])
    return Grid(reproduction, summaries, tuple(name for name in ordered if name in present))


def function_title(strategy: str) -> str:
    """Name a function as the paper's tables do; one with options keeps its text form.

    Examples
    --------
    >>> function_title("diverse-cal"), function_title("cal:k=5")
    ('DIVERSE-CAL', 'cal:k=5')
    """
    return strategy if ":" in strategy else strategy.upper()


def dataset_title(name: str) -> str:
    """Name a dataset as the paper does, or as the catalog does.

    Examples
    --------
    >>> dataset_title("agnews"), dataset_title("csabstruct"), dataset_title("my/data")
    ('AG News', 'CSAbstruct', 'my/data')
    """
    if name in paper.DATASETS:
        return paper.DATASETS[name].title
    return CATALOG[name].title.split(",")[0] if name in CATALOG else name


def paper_dataset(name: str) -> str | None:
    """Say which of the paper's datasets one is or stands in for; None for any other.

    Examples
    --------
    >>> paper_dataset("qqp"), paper_dataset("csabstruct"), paper_dataset("banking77")
    ('qqp', 'pubmed', None)
    """
    name = STAND_INS.get(name, name)
    return name if name in paper.DATASETS else None


def titled(subject: str, protocol_title: str, results: Iterable[ExperimentResult]) -> str:
    """Head a figure or table: what it shows, of which model, and how far the pools were capped.

    Examples
    --------
    >>> titled("Table 9: time", "MiniLM", [])
    'Table 9: time (MiniLM)'
    """
    caps = {result.spec.dataset: cap for result in results if (cap := capped_pool(result)) is not None}
    return f"{subject} ({'; '.join([protocol_title, *_told(caps)])})"


def _told(caps: Mapping[str, int]) -> Sequence[str]:
    if not caps:
        return []
    if len(set(caps.values())) == 1:
        few = "pool" if len(caps) == 1 else "pools"
        return [f"{few} capped at {count(next(iter(caps.values())))} texts"]
    sizes = [f"{count(cap)} ({dataset_title(name)})" for name, cap in caps.items()]
    return [f"pools capped at {listing(sizes)} texts"]
