"""Whole protocols by name: which experiments the paper's figures and tables stand on, at three sizes of machine.

``paper`` is Margatina et al. (2021) as written: BERT-base fine-tuned, whole pools, five seeds. ``laptop`` asks the same
questions of a small encoder whose top layer is trained, on pools of 3,000; ``laptop-finetuned`` fine-tunes that encoder
whole, on two datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.experiment.spec import REFERENCE, ClassifierChoice, ExperimentSpec, MaskedLMChoice, Option

__all__ = ["Ablation", "Changes", "Protocol", "protocol_named", "protocol_names"]

#: What the ablations vary.
CONTRASTIVE = "cal"


@dataclass(frozen=True, slots=True)
class Ablation:
    """One variant of CAL in the paper's Figure 3.

    Attributes
    ----------
    title
        How the paper calls it.
    strategy
        The variant in its text form.
    """

    title: str
    strategy: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What someone wants otherwise than a protocol has it; None and empty leave it as it is.

    Attributes
    ----------
    datasets, functions, seeds
        Instead of the protocol's own. Random is run beside whatever functions are named.
    max_pool, max_test
        Caps on the texts used.
    model, device
        Options of the classifier by those names; the model also stands behind ALPS.
    options
        Further options of the classifier.
    """

    datasets: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    max_pool: int | None = None
    max_test: int | None = None
    model: str | None = None
    device: str | None = None
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """A frozen value from which every experiment of a reproduction follows.

    Attributes
    ----------
    name
        ``paper``, ``laptop`` or ``laptop-finetuned``.
    title
        How reports call it; names the model, and whatever was changed by hand.
    classifier
        The classifier of all experiments, but for its maximum length.
    masked_lm
        What ALPS measures surprisal with.
    datasets, functions, seeds
        The main grid: datasets × strategies in their text form × seeds.
    ablations
        CAL's variants, run on ``ablation_dataset`` beside ``random`` and ``cal``.
    max_length, max_lengths
        Tokens a text is cut after, and the datasets where that differs. None leaves it to the classifier.
    initial, batch, budget
        Labels before the first model, a round, and in all.
    max_pool, max_test
        Caps on the texts used; None takes them all.
    validation
        How much of each dataset's validation split is used; None for none of it.
    ablation_dataset
        Where the variants are compared.

    Examples
    --------
    >>> protocol = protocol_named("laptop")
    >>> spec = protocol.spec("sst2")
    >>> spec.max_pool, spec.classifier.options["max_length"], spec.budget
    (3000, 128, '15%')
    >>> protocol.ablation_spec().strategies[:3]
    ('random', 'cal', 'cal:order=opposite')
    """

    name: str
    title: str
    classifier: ClassifierChoice
    masked_lm: MaskedLMChoice
    datasets: tuple[str, ...]
    functions: tuple[str, ...]
    seeds: tuple[int, ...]
    ablations: tuple[Ablation, ...]
    max_length: int | None = None
    max_lengths: Mapping[str, int] = field(default_factory=dict)
    initial: int | str = "1%"
    batch: int | str = "2%"
    budget: int | str = "15%"
    max_pool: int | None = None
    max_test: int | None = None
    validation: int | str | None = None
    ablation_dataset: str = "agnews"

    def spec(self, dataset: str) -> ExperimentSpec:
        """Give the main grid's experiment on a dataset.

        Raises
        ------
        InvalidInput
            A value of the protocol fits no spec.
        """
        return ExperimentSpec(
            dataset=dataset,
            strategies=self.functions,
            seeds=self.seeds,
            initial=self.initial,
            batch=self.batch,
            budget=self.budget,
            max_pool=self.max_pool,
            max_test=self.max_test,
            validation=self.validation,
            classifier=self._classifier(dataset),
            masked_lm=self._masked_lm(dataset),
            name=dataset,
        )

    def ablation_spec(self) -> ExperimentSpec:
        """Give the experiment of Figure 3; it shares the main grid's directory on that dataset."""
        variants = tuple(ablation.strategy for ablation in self.ablations)
        return self.spec(self.ablation_dataset).replace(strategies=(REFERENCE, CONTRASTIVE, *variants))

    def changed(self, changes: Changes) -> Protocol:
        """Return the protocol with some values changed, and a title that names another model or option.

        Examples
        --------
        >>> changed = protocol_named("laptop").changed(Changes(functions=("cal",), model="bert-tiny"))
        >>> changed.functions, changed.title
        (('random', 'cal'), 'MiniLM, top layer tuned (model bert-tiny)')
        """
        if "model" in changes.options and changes.model is None:  # it stands behind ALPS too, however it was given
            others = {key: value for key, value in changes.options.items() if key != "model"}
            return self.changed(replace(changes, model=str(changes.options["model"]), options=others))
        options = dict(self.classifier.options) | dict(changes.options)
        options |= {key: each for key, each in (("model", changes.model), ("device", changes.device)) if each}
        max_length = options.pop("max_length", self.max_length)
        if not isinstance(max_length, int | None) or isinstance(max_length, bool):
            raise InvalidInput(f"max-length = {max_length!r}: expected a whole number of tokens")
        functions = changes.functions or self.functions
        datasets = tuple(dict.fromkeys(changes.datasets)) or self.datasets
        told = _told(changes)
        return replace(
            self,
            title=f"{self.title} ({'; '.join(told)})" if told else self.title,
            classifier=ClassifierChoice(self.classifier.name, options),
            masked_lm=replace(self.masked_lm, model=changes.model) if changes.model else self.masked_lm,
            datasets=datasets,
            functions=tuple(dict.fromkeys((REFERENCE, *functions))),
            seeds=tuple(dict.fromkeys(changes.seeds)) or self.seeds,
            max_length=max_length,
            max_lengths={} if "max_length" in changes.options else self.max_lengths,
            max_pool=changes.max_pool if changes.max_pool is not None else self.max_pool,
            max_test=changes.max_test if changes.max_test is not None else self.max_test,
            # The variants are compared where the rest is, if their own dataset is not wanted.
            ablation_dataset=self.ablation_dataset if self.ablation_dataset in datasets else datasets[0],
        )

    def _masked_lm(self, dataset: str) -> MaskedLMChoice:
        """Let ALPS read as much of long texts as the classifier does."""
        longest = max(self.masked_lm.max_length, self.max_lengths.get(dataset, 0))
        return replace(self.masked_lm, max_length=longest)

    def _classifier(self, dataset: str) -> ClassifierChoice:
        max_length = self.max_lengths.get(dataset, self.max_length)
        cut = {} if max_length is None else {"max_length": max_length}
        return ClassifierChoice(self.classifier.name, dict(self.classifier.options) | cut)


def _told(changes: Changes) -> list[str]:
    """Say what a title must tell that cannot be seen in the results, as sizes, functions and seeds can."""
    told = [f"model {changes.model}"] if changes.model else []
    return told + [f"{key.replace('_', '-')} = {value}" for key, value in changes.options.items()]


_VARIANTS = (
    Ablation("CAL opposite", "cal:order=opposite"),
    Ablation("CAL per labelled example", "cal:anchor=labeled"),
    Ablation("Cross-entropy", "cal:divergence=cross-entropy"),
    Ablation("Max", "cal:reduce=max"),
    Ablation("Median", "cal:reduce=median"),
)
_SPACES = (
    Ablation("Mean embedding", "cal:features=mean-embedding"),
    Ablation("Mean output", "cal:features=mean-output"),
    Ablation("Pretrained [CLS]", "cal:features=pretrained-cls"),
    Ablation("TF-IDF", "cal:features=tfidf"),
)

_PAPER_FUNCTIONS = ("random", "entropy", "bertkm", "badge", "alps", "cal")

_KNOWN = (
    Protocol(
        name="paper",
        title="BERT-base fine-tuned",
        classifier=ClassifierChoice("finetuned", {"model": "bert-base-uncased", "preset": "paper"}),
        masked_lm=MaskedLMChoice("bert-base-uncased", max_length=128),
        datasets=("imdb", "sst2", "agnews", "dbpedia", "pubmed", "qnli", "qqp"),
        functions=(*_PAPER_FUNCTIONS, "margin"),
        seeds=(0, 1, 2, 3, 4),
        ablations=(*_VARIANTS, *_SPACES),
        max_length=128,
        max_lengths={"imdb": 256},
        validation="100%",
    ),
    Protocol(
        name="laptop",
        title="MiniLM, top layer tuned",
        classifier=ClassifierChoice("tuned", {"model": "minilm"}),
        masked_lm=MaskedLMChoice("minilm"),
        datasets=("sst2", "imdb", "agnews", "dbpedia", "csabstruct", "qnli", "qqp"),
        functions=(*_PAPER_FUNCTIONS, "margin", "diverse-margin", "diverse-cal"),
        seeds=(0, 1, 2, 3, 4),
        ablations=(*_VARIANTS, *_SPACES),
        max_length=128,
        max_pool=3_000,
        max_test=2_000,
    ),
    Protocol(
        name="laptop-finetuned",
        title="MiniLM fine-tuned",
        classifier=ClassifierChoice("finetuned", {"model": "minilm", "preset": "small"}),
        masked_lm=MaskedLMChoice("minilm", texts=2_000, adapt=True),
        datasets=("sst2", "agnews"),
        functions=("random", "entropy", "margin", "badge", "alps", "cal", "diverse-cal"),
        seeds=(0, 1, 2),
        ablations=(*_VARIANTS, *_SPACES),
        # Shorter texts and fewer, larger batches than the paper: a run then takes minutes of a core, not half hours.
        max_length=64,
        max_lengths={"agnews": 32},
        batch="4%",
        budget="13%",
        max_pool=2_000,
        max_test=1_000,
    ),
)
_BY_NAME = {protocol.name: protocol for protocol in _KNOWN}


def protocol_names() -> tuple[str, ...]:
    """List the protocols, the paper's own first.

    Examples
    --------
    >>> protocol_names()
    ('paper', 'laptop', 'laptop-finetuned')
    """
    return tuple(_BY_NAME)


def protocol_named(name: str) -> Protocol:
    """Find a protocol.

    Raises
    ------
    UnknownName
        There is none of that name; says which are near.
    """
    if name not in _BY_NAME:
        raise UnknownName.among("protocol", name, _BY_NAME)
    return _BY_NAME[name]
