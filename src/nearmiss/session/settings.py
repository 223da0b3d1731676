"""How a project chooses, audits and trains: one frozen value, kept in the history like everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from nearmiss.acquisition.registry import make_strategy, strategy_names
from nearmiss.errors import InvalidInput, ModelUnavailable, UnknownName
from nearmiss.loop.stopping_text import STOP_WHEN, parse_rule
from nearmiss.session.database import Database
from nearmiss.session.history import Event, EventKind
from nearmiss.session.projection import happen

__all__ = ["ALPS", "AUTO", "CLASSIFIERS", "COVERS", "NAMES", "Guidelines", "Settings", "SettingsStore"]

#: A choice left to nearmiss.
AUTO = "auto"
Suggestions = Literal["offered", "never"]
CheckChoice = Literal["uniform", "weighted"]


@dataclass(frozen=True, slots=True)
class Settings:
    """A project's settings.

    Attributes
    ----------
    classifier
        ``auto`` (the tuned top layer where its cached states fit on the disk, else the frozen encoder, and TF-IDF until
        the encoder has read the texts) or a classifier's name; ``finetuned`` trains the whole encoder.
    encoder
        ``minilm`` (embedded), a folder, or a Hugging Face name.
    strategy
        ``auto`` or a strategy in its text form, ``cal:k=5``.
    cover
        What chooses the first texts, up to two labels a class: ``typiclust``, ``k-means``, ``alps`` (needs an encoder
        with a masked-LM head), ``random``, or ``names``: texts near the names of the labels, in turn with TypiClust's.
        ``auto`` is TypiClust and, from 50 labels on, looks by name for the labels that no text has. ``k-means``,
        ``alps`` and ``random`` end with the first model. Seeds of labels take part whatever this is.
    batch
        A new model is trained after this many new labels.
    audit_share
        How many texts are random checks while little is known: half as many once the interval of the accuracy is
        narrower than 20 points, and a quarter once it is narrower than 10.
    check_choice
        How random checks are drawn: ``uniform``, or ``weighted``, the likelier the less sure the model is of a text,
        each counting the less for it (`active_testing`). That pays in large pools with a good model; savings and
        forecasts, which need a plain random sample, are told from the uniform ones alone.
    overlap, overlap_share
        How many people answer a text, and the share of texts of which that is asked; one person answers the others.
    suggestions
        Whether people may see the model's best guesses while they label, or ``never``.
    lease_seconds
        A text handed out to one person is kept from the others this long.
    stop_when
        The stopping rule (`parse_rule`) that advice follows. ``auto`` is `STOP_WHEN`.

    Raises
    ------
    InvalidInput
        A value outside its range.
    UnknownName
        No classifier of that name.

    Examples
    --------
    >>> Settings(batch=0)
    Traceback (most recent call last):
    ...
    nearmiss.errors.InvalidInput: batch is 0; it must be from 1 to 10000
    """

    classifier: str = AUTO
    encoder: str = "minilm"
    strategy: str = AUTO
    batch: int = 10
    audit_share: float = 0.2
    overlap: int = 1
    overlap_share: float = 1.0
    suggestions: Suggestions = "offered"
    lease_seconds: int = 180
    cover: str = AUTO
    stop_when: str = AUTO
    check_choice: CheckChoice = "uniform"

    def __post_init__(self) -> None:
        _within("batch", self.batch, 1, 10_000)
        _within("audit_share", self.audit_share, 0.0, 0.9)
        _within("overlap", self.overlap, 1, 20)
        _within("overlap_share", self.overlap_share, 0.0, 1.0)
        _within("lease_seconds", self.lease_seconds, 10, 86_400)
        if self.suggestions not in get_args(Suggestions):
            raise UnknownName.among("choice for suggestions", str(self.suggestions), get_args(Suggestions))
        if self.check_choice not in get_args(CheckChoice):
            raise UnknownName.among("choice of checks", str(self.check_choice), get_args(CheckChoice))
        if self.classifier not in CLASSIFIERS:
            raise UnknownName.among("classifier", self.classifier, CLASSIFIERS)
        if self.cover not in COVERS:
            raise UnknownName.among("first batch", self.cover, COVERS)
        if self.stop_when != AUTO:
            parse_rule(self.stop_when)
        if not self.encoder.strip():
            raise InvalidInput("encoder is empty; name one, such as minilm")

    @property
    def stopping_rule(self) -> str:
        """The stopping rule in its text form."""
        return STOP_WHEN if self.stop_when == AUTO else self.stop_when


#: What ``Settings.classifier`` may be.
CLASSIFIERS = (AUTO, "tfidf", "frozen", "tuned", "finetuned")
#: What ``Settings.cover`` may be.
ALPS, NAMES = "alps", "names"
COVERS = (AUTO, "typiclust", NAMES, "k-means", ALPS, "random")


@dataclass(frozen=True, slots=True)
class Guidelines:
    """How to label, in Markdown; a version is never changed, only followed by the next.

    Attributes
    ----------
    version
        From 1; 0 stands for none.
    text, at, person
        What they say, since when, and who wrote them.
    """

    version: int = 0
    text: str = ""
    at: str = ""
    person: str = ""


class SettingsStore:
    """The settings and guidelines of a project, and their changes.

    Parameters
    ----------
    database
        The project's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> Settings:
        """Give the settings in force; what was never set has its default."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT name, value FROM setting").fetchall()
        known = {entry.name for entry in fields(Settings)}
        return Settings(**{row["name"]: json.loads(row["value"]) for row in rows if row["name"] in known})

    def change(self, person: str, changes: Mapping[str, object]) -> Settings:
        """Change some settings, by name.

        Raises
        ------
        UnknownName
            There is no such setting, or no strategy of that name.
        InvalidInput
            A value of the wrong type or outside its range; nothing is changed.
        """
        types = get_type_hints(Settings)
        typed: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in types:
                raise UnknownName.among("setting", name, types)
            typed[name] = _typed(name, value, types[name])
        if typed.get("strategy", AUTO) != AUTO:
            _check_strategy(typed["strategy"])
        if typed.get("cover") == ALPS or "encoder" in typed:
            _check_cover(replace(self.read(), **typed))
        with self._database.writing() as connection:
            before = self.read()
            after = replace(before, **typed)
            changed = {name: value for name, value in asdict(after).items() if value != getattr(before, name)}
            if changed:
                happen(connection, Event(EventKind.SETTINGS_CHANGED, person, changed))
        return after

    def guidelines(self) -> Guidelines:
        """Give the guidelines in force."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM guideline ORDER BY version DESC LIMIT 1").fetchone()
        return Guidelines() if row is None else Guidelines(row["version"], row["text"], row["at"], row["person"])

    def write_guidelines(self, person: str, text: str) -> Guidelines:
        """Put a new version of the guidelines in force; the same text again is no new version.

        Raises
        ------
        InvalidInput
            They are longer than 100,000 characters.
        """
        text = text.replace("\r\n", "\n").strip()
        if len(text) > _LONGEST_GUIDELINES:
            raise InvalidInput(f"guidelines of {len(text)} characters; keep them to {_LONGEST_GUIDELINES}")
        with self._database.writing() as connection:
            before = self.guidelines()
            if text != before.text:
                body = {"version": before.version + 1, "text": text}
                happen(connection, Event(EventKind.GUIDELINES_CHANGED, person, body))
            return self.guidelines()


_LONGEST_GUIDELINES = 100_000


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InvalidInput(f"{name} is {value}; it must be from {least} to {most}")


def _check_strategy(text: str) -> None:
    """Refuse what cannot rank a queue; only here, since it loads torch, which the server does without."""
    from nearmiss.acquisition.base import Signal

    strategy = make_strategy(text)
    if Signal.SURPRISAL in strategy.needs.pool:
        raise InvalidInput(
            f"{text!r} reads a masked language model and only chooses a first batch; take it with: nearmiss select, "
            f"and one of these here: {', '.join(name for name in strategy_names() if name != 'alps')}"
        )


def _check_cover(settings: Settings) -> None:
    """Refuse ALPS where the encoder cannot do it; only here, since it loads the encoder."""
    if settings.cover != ALPS:
        return
    try:
        from nearmiss.models.masked_lm import MaskedLanguageModel

        MaskedLanguageModel.load(settings.encoder)
    except (ModelUnavailable, ImportError) as error:
        raise InvalidInput(
            f"a first batch by alps reads what a masked language model finds surprising, and the encoder "
            f"{settings.encoder!r} is none: {error}. Or take cover typiclust"
        ) from error


def _typed(name: str, value: object, kind: object) -> object:
    """Read a value that may have come from a form, as text."""
    if kind in (int, float):
        try:
            return int(str(value)) if kind is int else float(str(value))
        except ValueError:
            raise InvalidInput(f"{name} is {value!r}; it must be a {'whole ' if kind is int else ''}number") from None
    if not isinstance(value, str):
        raise InvalidInput(f"{name} is {value!r}; it must be text")
    return value.strip()
