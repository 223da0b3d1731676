"""The results of an experiment as plain, frozen values: what the runner writes, resumes from, and reports on."""

from __future__ import annotations

from dataclasses import dataclass, field

from nearmiss.experiment.spec import ExperimentSpec, RunKey

__all__ = ["BatchProfile", "ExperimentResult", "FullSupervision", "RoundRecord", "RoundTiming", "RunResult"]


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round, in everything that must be identical to the bit when the run is repeated or resumed.

    Attributes
    ----------
    round
        0 for the initial labelled set, then one per batch.
    n_labeled
        Labels the model of this round was trained on, the batch of this round included.
    acquired
        Pool rows labelled in this round (round 0: the initial set), in order of preference.
    accuracy, macro_f1, log_loss, expected_calibration_error
        On the whole test set, after training on ``n_labeled`` labels. Fractions; log-loss in nats.
    ood_accuracy
        Accuracy on each out-of-domain test set, by name; filled after the last round only.
    attempts, collapsed
        Trainings this round took, more than 1 where a model gave one class to every text and was trained again; and
        whether the last of them ended so too.
    """

    round: int
    n_labeled: int
    acquired: tuple[int, ...]
    accuracy: float
    macro_f1: float
    log_loss: float
    expected_calibration_error: float
    ood_accuracy: dict[str, float] = field(default_factory=dict)
    attempts: int = 1
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class RoundTiming:
    """What a round cost; differs from run to run, and is therefore kept apart.

    Attributes
    ----------
    round
        The round whose batch was bought and whose model was trained.
    inference_seconds, selection_seconds
        Of acquiring this round's batch: signals over pool and labelled set, then choosing. Zero for round 0.
    fit_seconds, evaluation_seconds
        Training on all labels so far; scoring the test set.
    peak_memory_bytes
        Peak resident memory of the process so far.
    """

    round: int
    inference_seconds: float
    selection_seconds: float
    fit_seconds: float
    evaluation_seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """All rounds of one run; ``timings[i]`` belongs to ``rounds[i]``."""

    key: RunKey
    rounds: tuple[RoundRecord, ...]
    timings: tuple[RoundTiming, ...]


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """Every finished run of an experiment, with the facts a report needs.

    Attributes
    ----------
    spec
        What was asked for.
    runs
        Finished runs, sorted by the spec's order of strategies, then seeds.
    pool_size, test_size
        Rows actually used.
    notes
        Sentences a reader must know (a capped pool, a head trained on the spot, a strategy that could not run).
    wall_seconds
        Total wall time spent, over all sessions.
    validation_size
        Labelled texts that each run looked at besides, to choose among checkpoints; they are labels spent too.
    """

    spec: ExperimentSpec
    runs: tuple[RunResult, ...]
    pool_size: int
    test_size: int
    notes: tuple[str, ...] = ()
    wall_seconds: float = 0.0
    validation_size: int = 0


@dataclass(frozen=True, slots=True)
class FullSupervision:
    """One model trained on every label of the pool: the line that active learning is held against.

    Attributes
    ----------
    seed
        Of the training.
    accuracy, macro_f1, log_loss
        On the whole test set. Fractions; log-loss in nats.
    ood_accuracy
        Accuracy on each out-of-domain test set, by name.
    """

    seed: int
    accuracy: float
    macro_f1: float
    log_loss: float
    ood_accuracy: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchProfile:
    """What kind of texts a run acquired: one strategy and seed of the paper's Table 3, as §6.1 defines it.

    Attributes
    ----------
    strategy, seed
        Which run.
    input_diversity
        DIV.-I of all that was acquired by the end, the initial set left out: Jaccard similarity of its token set with
        the token set of the rest of the pool.
    first_input_diversity
        The same of the first batch alone.
    feature_diversity
        DIV.-F of the first batch, in the features of the model trained on the initial set.
    uncertainty
        UNC.: mean entropy, in nats, of all that was acquired, under the model trained on the whole pool.
    representativeness
        REPR. as printed: one over the mean kNN density of the first batch, ten neighbours in the unlabelled pool.
    density
        That mean density itself.
    """

    strategy: str
    seed: int
    input_diversity: float
    first_input_diversity: float
    feature_diversity: float
    uncertainty: float
    representativeness: float
    density: float
