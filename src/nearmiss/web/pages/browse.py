"""Looking through the texts: search and filters that are part of the address, and labels corrected in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.answers import Receipt
from nearmiss.session.browsing import Filter, Found, State
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.people import Person
from nearmiss.session.project import Project
from nearmiss.web.context import Context
from nearmiss.web.rows import FEW_LABELS, answer_in, rows
from nearmiss.web.sight import found_by
from nearmiss.web.visits import Notice, Visit, number_in, reading, writing

__all__ = ["SIZES", "View", "routes", "undo_last"]

#: Texts a page that can be chosen; the second is the default.
SIZES = (25, 50, 100, 200)


@dataclass(frozen=True, slots=True)
class View:
    """What somebody looks at; it is written in the address, so that it can be kept and sent.

    Attributes
    ----------
    wanted
        The filter.
    number, size
        The page, from 1, and texts a page.
    """

    wanted: Filter = field(default_factory=Filter)
    number: int = 1
    size: int = SIZES[1]

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> View:
        """Read a view from the fields of an address.

        Raises
        ------
        InvalidInput
            A number that is none, page 0, or a page size that is not offered.
        UnknownName
            There is no such state.

        Examples
        --------
        >>> View.of({"words": "late", "label": "", "page": "2"}).query
        'words=late&page=2'
        """
        label, state, number, size = (fields.get(name, "") for name in ("label", "state", "page", "size"))
        if state and state not in tuple(State):
            raise UnknownName.among("state", state, State)
        wanted = Filter(
            " ".join(fields.get("words", "").split())[:500],
            number_in("label", label) if label else None,
            State(state) if state else None,
            fields.get("person") or None,
        )
        view = cls(wanted, number_in("page", number) if number else 1, number_in("size", size) if size else SIZES[1])
        if view.number < 1:
            raise InvalidInput("page 0; pages count from 1")
        if view.size not in SIZES:
            raise InvalidInput(f"{view.size} texts a page; choose one of {', '.join(map(str, SIZES))}")
        return view

    @property
    def query(self) -> str:
        """The view as it stands in an address, after the question mark."""
        fields = {
            "words": self.wanted.words,
            "label": "" if self.wanted.label is None else str(self.wanted.label),
            "state": self.wanted.state or "",
            "person": self.wanted.person or "",
            "page": "" if self.number == 1 else str(self.number),
            "size": "" if self.size == SIZES[1] else str(self.size),
        }
        return urlencode({name: value for name, value in fields.items() if value})

    @property
    def address(self) -> str:
        """Where it is shown."""
        return f"/browse?{self.query}" if self.query else "/browse"

    def page(self, number: int) -> View:
        """Give another page of it."""
        return View(self.wanted, number, self.size)


@dataclass(frozen=True, slots=True)
class _Listed:
    """The texts of one page, and how many there are on all."""

    found: tuple[Found, ...]
    total: int


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""
    return [
        reading(context, "/browse", _show),
        writing(context, "/items/{item:int}/answer", _correct),
        writing(context, "/browse/undo", _undo),
    ]


def view_of(request: Request) -> View:
    """Read the view from a request's address.

    Raises
    ------
    InvalidInput
        As ``View.of``.
    """
    return View.of(dict(request.query_params))


def view_in(query: str) -> View:
    """Read the view that a form carries.

    Raises
    ------
    InvalidInput
        As ``View.of``.
    """
    return View.of(dict(parse_qsl(query)))


def undo_last(visit: Visit, event: int) -> Receipt:
    """Take back what the visitor did last, if it is what the button was for.

    Raises
    ------
    InvalidInput
        They did something else since.
    """
    with visit.project.database.writing() as connection:
        row = connection.execute(
            "SELECT max(seq) FROM event WHERE person = ? AND kind IN ('answered', 'settled')"
            " AND seq NOT IN (SELECT event FROM undone)",
            (visit.person.name,),
        ).fetchone()
        receipt = visit.project.answers.undo(visit.person.name) if row[0] == event else None
    if receipt is None:
        raise InvalidInput("you did something else since, or took this back already; undo step by step under Label")
    return receipt


def _show(visit: Visit) -> Response:
    project, view = visit.project, view_of(visit.request)
    if view.wanted.state is State.AUDIT and not visit.is_owner:
        raise HTTPException(403, "Only an owner of the project can list its random checks.")
    listed = _listed(project, visit.person, view)
    pages = max(1, -(-listed.total // view.size))
    labels = project.labels.offered()
    with project.database.reading() as connection:
        known = connection.execute("SELECT DISTINCT person FROM answer ORDER BY person").fetchall()
    facts = {
        "view": view,
        "rows": rows(project, visit.person, listed.found),
        "total": listed.total,
        "pages": pages,
        "shown": (1 + (view.number - 1) * view.size, min(listed.total, view.number * view.size)),
        "labels": labels,
        "few": len(labels) <= FEW_LABELS,
        "states": [state for state in State if visit.is_owner or state is not State.AUDIT],
        "people": [row["person"] for row in known],
        "sizes": SIZES,
        "model": project.models.latest(),
    }
    return visit.page("browse.html", facts)


def _listed(project: Project, person: Person, view: View) -> _Listed:
    items = found_by(project, person, view.wanted)
    shown = items[(view.number - 1) * view.size : view.number * view.size]
    return _Listed(tuple(project.browser.find(item) for item in shown), len(items))


def _correct(visit: Visit) -> Response:
    view = view_in(visit.form.text("view"))
    said = answer_in(visit.project, visit.form, visit.request.path_params["item"])
    receipt = visit.project.answers.submit(visit.person.name, said)
    names = {label.id: label.name for label in visit.project.labels.every()}
    given = f"“{names[said.label]}”" if said.label is not None else _KINDS[said.kind]
    back = f"/items/{said.item}" if visit.form.text("from") == "item" else f"{view.address}#item-{said.item}"
    return visit.onward(back, Notice(f"Saved: text {said.item} is {given}.", receipt.event))


_KINDS = {AnswerKind.SKIP: "skipped", AnswerKind.UNSURE: "marked unsure"}


def _undo(visit: Visit) -> Response:
    receipt = undo_last(visit, visit.form.number("event"))
    texts = f"{len(receipt.items)} texts are" if len(receipt.items) > 1 else f"text {receipt.items[0]} is"
    told = Notice(f"Taken back: {texts} as before.")
    return visit.onward(_BACK.get(visit.form.text("from"), view_in(visit.form.text("view")).address), told)


_BACK = {"settle": "/settle", "second-look": "/second-look"}
