"""Who may see whose answers: where several people answer a text, nobody is swayed by what another said first."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from nearmiss.session.browsing import Filter, State
from nearmiss.session.people import Person
from nearmiss.session.project import Project

__all__ = ["done_with", "found_by", "may_export", "reveals_answers", "seen"]


def seen(project: Project, person: Person, items: Collection[int]) -> frozenset[int]:
    """Say of which of these texts a person may see everyone's answers.

    An owner of all; others of those they are done with.
    """
    return frozenset(items) if person.role == "owner" else done_with(project, person, items)


def done_with(project: Project, person: Person, items: Collection[int]) -> frozenset[int]:
    """Say which of these texts a person will not be asked about: nothing told of them can sway an answer.

    They have answered them, or they were settled, or have all the answers wanted.
    """
    settings = project.settings.read()
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT item.id FROM item LEFT JOIN decision ON decision.item = item.id"
            " WHERE item.id IN (SELECT value FROM json_each(:items)) AND (decision.settled"
            " OR decision.answers >= :overlap OR EXISTS"
            " (SELECT 1 FROM answer WHERE answer.item = item.id AND answer.person = :person))",
            {"items": json.dumps(list(items)), "overlap": settings.overlap, "person": person.name},
        )
        return frozenset(row["id"] for row in rows)


def reveals_answers(wanted: Filter, person: Person) -> bool:
    """Say whether being found by a filter tells what others answered."""
    telling = wanted.state not in (None, State.UNLABELED, State.REPEATED)
    return telling or wanted.label is not None or wanted.person not in (None, person.name)


def may_export(project: Project, person: Person) -> bool:
    """Say whether a person may have everyone's answers in a file."""
    return person.role == "owner" or project.settings.read().overlap == 1


def found_by(project: Project, person: Person, wanted: Filter) -> Sequence[int]:
    """List the texts that pass a filter, without those that would give away what a person must not know."""
    items = project.browser.ids(wanted)
    if person.role == "owner" or not reveals_answers(wanted, person):
        return items
    visible = seen(project, person, items)
    return [item for item in items if item in visible]
