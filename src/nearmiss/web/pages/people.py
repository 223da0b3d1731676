"""Who works on the project: let in, let out, given a new password; and what each has done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput
from nearmiss.session.people import Person, checked_name
from nearmiss.session.project import Project
from nearmiss.web.agreeing import PersonAgreement, person_agreements
from nearmiss.web.context import Context
from nearmiss.web.security.passwords import SHORTEST, hash_password
from nearmiss.web.visits import Form, Notice, Visit, owners_only, reading, writing
from nearmiss.web.working_time import Pace, paces

__all__ = ["routes"]


@dataclass(frozen=True, slots=True)
class _Work:
    """What somebody has done.

    Attributes
    ----------
    person
        Who; None in ``name`` alone for somebody who is let in no longer.
    labels
        Texts they labelled, in any way.
    pace, agreement
        How fast, and how often they say what others say.
    """

    name: str
    person: Person | None
    labels: int
    pace: Pace | None
    agreement: PersonAgreement | None


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""
    return [
        reading(context, "/people", owners_only(_show)),
        writing(context, "/people", owners_only(_add)),
        writing(context, "/people/password", owners_only(_set_password)),
        writing(context, "/people/remove", owners_only(_remove)),
    ]


def _show(visit: Visit) -> Response:
    return _listing(visit, {}, {})


def _listing(visit: Visit, typed: Mapping[str, str], errors: Mapping[str, str]) -> Response:
    facts = {"work": _work(visit.project), "typed": typed, "errors": errors, "shortest": SHORTEST}
    return visit.page("people.html", facts, status=400 if errors else 200)


def _work(project: Project) -> list[_Work]:
    speeds, agreements = paces(project), person_agreements(project)
    with project.database.reading() as connection:
        rows = connection.execute("SELECT person, count(*) AS n FROM answer WHERE kind = 'label' GROUP BY person")
        labels = {row["person"]: row["n"] for row in rows}
    known = {person.name: person for person in project.people.every()}
    names = [*known, *(name for name in sorted(labels) if name not in known)]
    return [_Work(name, known.get(name), labels.get(name, 0), speeds.get(name), agreements.get(name)) for name in names]


def _add(visit: Visit) -> Response:
    form, errors = visit.form, dict[str, str]()
    try:
        name = checked_name(form.text("name"))
        if any(person.name == name for person in visit.project.people.every()):
            errors["name"] = f"{name!r} is here already; choose another name, or give them a new password below"
    except InvalidInput as refusal:
        name, errors["name"] = "", str(refusal)
    errors |= _password_errors(form)
    if errors:
        return _listing(visit, {"name": form.text("name"), "role": form.text("role")}, errors)
    role = "owner" if form.text("role") == "owner" else "annotator"
    visit.project.people.add(name, role=role, password_hash=hash_password(form.text("password")))
    return visit.onward("/people", Notice(f"Added: {name} can sign in now."))


def _set_password(visit: Visit) -> Response:
    person = visit.project.people.get(visit.form.text("name"))
    errors = _password_errors(visit.form)
    if errors:
        return _listing(visit, {"reset": person.name}, {f"reset-{field}": told for field, told in errors.items()})
    hashed = hash_password(visit.form.text("password"))
    visit.project.people.add(person.name, role=person.role, password_hash=hashed)
    return visit.onward("/people", Notice(f"Saved: {person.name} signs in with the new password from now on."))


def _remove(visit: Visit) -> Response:
    person = visit.project.people.get(visit.form.text("name"))
    if person.name == visit.person.name:
        raise InvalidInput("you cannot remove yourself; let another owner do it")
    visit.project.people.remove(person.name)
    return visit.onward("/people", Notice(f"Removed: {person.name}. What they said stays."))


def _password_errors(form: Form) -> dict[str, str]:
    password = form.text("password")
    if len(password) < SHORTEST:
        return {"password": f"a password of {len(password)} characters; give it at least {SHORTEST}"}
    if password != form.text("again"):
        return {"again": "the two passwords differ; type the same one twice"}
    return {}
