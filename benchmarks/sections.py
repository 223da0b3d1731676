"""The sections of the benchmark, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from benchmarks.results import Item
from benchmarks.texts import Source

__all__ = ["SECTIONS", "Context", "Section"]


@dataclass(frozen=True)
class Context:
    """What a section is handed.

    Attributes
    ----------
    quick
        Small sizes, two minutes for everything.
    repeats
        Turns of each way; the median is quoted.
    cache
        Where embeddings are kept between runs.
    source
        Where real texts come from.
    """

    quick: bool
    repeats: int
    cache: Path
    source: Source

    def size(self, full: int, quick: int) -> int:
        """Choose a size."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Section:
    """One part that can be run alone; ``home`` is its module and function, ``on_gpu`` says that it needs CUDA."""

    title: str
    home: tuple[str, str]
    in_quick: bool = True
    on_gpu: bool = False

    def run(self, context: Context) -> Iterator[Item]:
        """Measure, yielding items as they come."""
        module, name = self.home
        call = cast("Callable[[Context], Iterator[Item]]", getattr(import_module(f"benchmarks.{module}"), name))
        return call(context)


SECTIONS: dict[str, Section] = {
    "cal-small": Section("CAL, a small pool", ("cal", "small")),
    "cal-large": Section("CAL, a large pool", ("cal", "large")),
    "badge": Section("BADGE", ("badge", "section")),
    "bertkm": Section("BERTKM and k-means", ("clustering", "section")),
    "growth": Section("Growth with the pool", ("growth", "section")),
    "activeml": Section("Beside scikit-activeml", ("activeml", "section")),
    "approximate": Section("CAL by approximate search", ("approximate", "section")),
    "tfidf": Section("CAL on TF-IDF", ("tfidf", "section")),
    "inference": Section("Reading texts", ("reading", "section")),
    "round": Section("A whole round", ("rounds", "section")),
    "cal-qqp": Section("CAL at QQP's size", ("cal", "qqp"), in_quick=False),
    "badge-qqp": Section("BADGE at QQP's size", ("badge", "qqp"), in_quick=False),
    "bertkm-qqp": Section("BERTKM at QQP's size", ("clustering", "qqp"), in_quick=False),
    "cuda-selection": Section("Selection on a GPU", ("device", "selection"), on_gpu=True),
    "cuda-inference": Section("Reading texts on a GPU", ("device_reading", "section"), on_gpu=True),
}
