"""What ``nearmiss reproduce`` has on disk, as one frozen value, and the names of what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearmiss.experiment.protocol import Protocol
from nearmiss.experiment.records import BatchProfile, ExperimentResult, FullSupervision

__all__ = ["TARGETS", "Reproduction"]

#: The paper's figures and tables that come from experiments, figures first.
TARGETS = ("figure2", "figure3", "table1", "table2", "table3", "table4", "table5")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """The finished parts of a protocol; what is missing is left out.

    Attributes
    ----------
    protocol
        What was asked for.
    experiments
        The main grid by dataset; a dataset without a finished run is left out.
    ablation
        CAL's variants on the protocol's ablation dataset, beside random and CAL; None where no variant is finished.
    full
        Models trained on the whole pool, by dataset, one per seed.
    profiles
        What kind of texts each run acquired, by dataset.
    notes
        Sentences a reader must know: a dataset that was not to be had, a training that failed.
    broken_off
        Whether something could not be carried out just now.
    """

    protocol: Protocol
    experiments: Mapping[str, ExperimentResult]
    ablation: ExperimentResult | None = None
    full: Mapping[str, tuple[FullSupervision, ...]] = field(default_factory=dict)
    profiles: Mapping[str, tuple[BatchProfile, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    broken_off: bool = False
