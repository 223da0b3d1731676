"""What a model cannot know yet: labels without texts, one label alone, labels newer than the model in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearmiss.session.clues import clue_of
from nearmiss.session.labels import Label
from nearmiss.session.origins import Source
from nearmiss.session.project import Project
from nearmiss.session.quality import count_lost_checks
from nearmiss.session.readings import read_answered
from nearmiss.session.settings import ALPS

__all__ = ["LabelGaps", "label_gaps"]

_NAMED = 10
#: A smaller share of the texts is not spoken of.
_FEW = 0.05


@dataclass(frozen=True, slots=True)
class LabelGaps:
    """What is missing among the labels of a project.

    Attributes
    ----------
    offered
        How many labels there are to give.
    unseen
        Labels that no text has.
    checks_only
        Labels that random checks alone have: a model cannot learn them.
    learnable
        How many different labels there are to learn from.
    texts
        How many texts there are to learn from.
    unknown_to_model
        Labels that the model in use cannot give, because they are newer; empty before there is a model.
    has_model
        Whether there is a model in use.
    cover_instead
        What covers the pool in the place of ALPS, where the encoder turned out to be no masked language model; empty
        where nothing was replaced.
    doubts
        What the accuracy does not cover, in sentences.
    """

    offered: int
    unseen: tuple[Label, ...]
    checks_only: tuple[Label, ...]
    learnable: int
    texts: int
    unknown_to_model: tuple[Label, ...]
    has_model: bool
    cover_instead: str = ""
    doubts: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person should know of it, one sentence each; none where nothing is missing."""
        told = []
        if not self.offered:
            told.append("There are no labels yet: add the first ones.")
        elif self.learnable == 1:
            stays = "the model in use stays the last one that had two" if self.has_model else "a model needs two"
            told.append(f"The {_count(self.texts, 'text')} to learn from {_have(self.texts)} the same label; {stays}.")
        if self.unseen:
            told.append(f"No text yet has {_listed(self.unseen)}.")
        if self.checks_only:
            told.append(
                f"Only random checks have {_listed(self.checks_only)}: a model learns it from other texts, so look for "
                "some."
            )
        if self.unknown_to_model:
            told.append(f"The model in use does not know {_listed(self.unknown_to_model)}; the next one will.")
        if self.cover_instead:
            told.append(
                f"The first texts are chosen by {self.cover_instead}, not by alps: the encoder is no masked language "
                "model."
            )
        return (*told, *self.doubts)


def label_gaps(project: Project) -> LabelGaps:
    """Find out what is missing among the labels of a project.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp() + "/films"
    >>> with Project.create(folder, texts=["good", "bad"], label_names=["no", "yes"]) as project:
    ...     _ = project.tell("1", "yes")
    ...     label_gaps(project).sentences
    ('The 1 text to learn from has the same label; a model needs two.', 'No text yet has “no”.')
    """
    offered = project.labels.offered()
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT label, count(*) AS texts FROM decision WHERE NOT audit AND label IS NOT NULL GROUP BY label"
        ).fetchall()
    learned = {row["label"]: row["texts"] for row in rows}
    facts = project.models.latest()
    return LabelGaps(
        offered=len(offered),
        unseen=tuple(label for label in offered if not label.texts),
        checks_only=tuple(label for label in offered if label.texts and label.id not in learned),
        learnable=sum(label.id in learned for label in offered),
        texts=sum(learned.get(label.id, 0) for label in offered),
        unknown_to_model=() if facts is None else tuple(label for label in offered if label.id not in facts.labels),
        has_model=facts is not None,
        cover_instead=_instead_of_alps(project) if project.settings.read().cover == ALPS else "",
        doubts=_doubts(project) if facts is not None and facts.audits else (),
    )


def _doubts(project: Project) -> tuple[str, ...]:
    """Say what the random checks do not speak for."""
    told = []
    lost = count_lost_checks(project.database)
    if lost:
        told.append(
            f"{_count(lost, 'random check')} {_have(lost)} an answer and no label (skipped, unsure or not settled): "
            "the lower bounds of accuracy and macro-F1 take them to be wrong."
        )
    texts = project.texts.count()
    answered = read_answered(project.database)
    if answered.counts is not None:
        told.append(
            "Random checks are weighted: drawn more often where the model was less sure, and counted the less for it. "
            "The accuracy is higher than the share of checks that are right."
        )
    unasked = int((~answered.asked).sum())
    if unasked > _FEW * texts:
        told.append(
            f"{_count(unasked, 'label')} came without being asked for (imported, looked up, given to many at once): "
            "the accuracy takes these texts to be like the others."
        )
    begun = next((facts.texts for facts in project.models.history() if facts.audits), texts)
    if texts - begun > _FEW * texts:
        told.append(
            f"{_count(texts - begun, 'text')} came after random checks were first drawn: as long as they are rare "
            "among the checks, the accuracy is about texts like the earlier ones."
        )
    return tuple(told)


def _instead_of_alps(project: Project) -> str:
    """Name what else has chosen the texts that wait and that no model chose."""
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT DISTINCT json_extract(origin, '$.strategy') AS strategy FROM queue"
            " WHERE json_extract(origin, '$.source') = ? ORDER BY 1",
            (Source.COVER,),
        ).fetchall()
    others = (row["strategy"] for row in rows if row["strategy"] != ALPS)
    return next((name for name in others if clue_of(name) is None), "")


def _listed(labels: Sequence[Label]) -> str:
    shown = [f"“{label.name}”" for label in labels[:_NAMED]]
    more = len(labels) - len(shown)
    return ", ".join(shown) + (f" and {more} more labels" if more else "")


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'' if n == 1 else 's'}"


def _have(n: int) -> str:
    return "has" if n == 1 else "have"
