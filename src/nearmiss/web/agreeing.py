"""How far the people of a project agree, on the texts that several of them labelled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearmiss.analysis.agreement import MISSING, Agreement, krippendorff_alpha, pairwise_kappas
from nearmiss.analysis.estimates import Estimate
from nearmiss.analysis.proportions import share_interval
from nearmiss.loop.streams import named_generator
from nearmiss.session.labels import Label
from nearmiss.session.project import Project

__all__ = ["PairTold", "PersonAgreement", "TeamAgreement", "person_agreements", "team_agreement"]


@dataclass(frozen=True, slots=True)
class PairTold:
    """Cohen's κ of two people."""

    first: str
    second: str
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class TeamAgreement:
    """How far everyone agrees.

    Attributes
    ----------
    alpha
        Krippendorff's α of all.
    pairs
        Cohen's κ of every two people who share at least two texts.
    """

    alpha: Agreement
    pairs: tuple[PairTold, ...]


@dataclass(frozen=True, slots=True)
class PersonAgreement:
    """How often one person says what another says of the same text.

    Attributes
    ----------
    shared, agreed
        Pairs of answers with another person's, and those that are the same.
    share
        Agreed of shared, with its interval; None without any.
    """

    shared: int
    agreed: int
    share: Estimate | None


@dataclass(frozen=True, slots=True)
class _Votes:
    """The labels given, by text and person, of texts with two or more."""

    people: tuple[str, ...]
    by_item: tuple[Mapping[str, int], ...]


def team_agreement(project: Project) -> TeamAgreement | None:
    """Measure how far people agree; None while no text has labels of two people."""
    votes = _votes(project)
    if not votes.by_item:
        return None
    labels = sorted({label for given in votes.by_item for label in given.values()})
    classes = {label: position for position, label in enumerate(labels)}
    columns = {person: position for position, person in enumerate(votes.people)}
    ratings = np.full((len(votes.by_item), len(votes.people)), MISSING, dtype=np.int64)
    for row, given in enumerate(votes.by_item):
        for person, label in given.items():
            ratings[row, columns[person]] = classes[label]
    alpha = krippendorff_alpha(ratings, len(classes), rng=named_generator(project.seed, "agreement"))
    pairs = pairwise_kappas(ratings, len(classes))
    told = (PairTold(votes.people[pair.first], votes.people[pair.second], pair.agreement) for pair in pairs)
    return TeamAgreement(alpha, tuple(told))


def person_agreements(project: Project) -> dict[str, PersonAgreement]:
    """Say of each person who shares texts with others how often they agree with them."""
    shared: dict[str, int] = defaultdict(int)
    agreed: dict[str, int] = defaultdict(int)
    for given in _votes(project).by_item:
        for person, label in given.items():
            shared[person] += len(given) - 1
            agreed[person] += sum(other == label for other in given.values()) - 1
    return {
        person: PersonAgreement(shared[person], agreed[person], _share(agreed[person], shared[person]))
        for person in shared
    }


def _votes(project: Project) -> _Votes:
    """Read the labels of texts that two or more people labelled; merged labels are one."""
    today = _merged(project.labels.every())
    by_item: dict[int, dict[str, int]] = defaultdict(dict)
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT item, person, label FROM answer WHERE kind = 'label' AND stands AND item IN"
            " (SELECT item FROM answer WHERE kind = 'label' AND stands GROUP BY item HAVING count(*) > 1)"
            " ORDER BY item, person"
        )
        for row in rows:
            by_item[row["item"]][row["person"]] = today[row["label"]]
    people = sorted({person for given in by_item.values() for person in given})
    return _Votes(tuple(people), tuple(by_item.values()))


def _merged(labels: Sequence[Label]) -> dict[int, int]:
    """Give for each label the one that stands for it today."""
    into = {label.id: label.merged_into for label in labels}

    def follow(label: int) -> int:
        target = into[label]
        return label if target is None else follow(target)

    return {label: follow(label) for label in into}


def _share(agreed: int, shared: int) -> Estimate:
    return Estimate(agreed / shared, share_interval(agreed, shared, 0.05), shared)
