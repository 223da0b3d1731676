"""The labels of a project, one page for all and one for each: what they are called, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.labels import Label, shown_keys
from nearmiss.session.project import Project
from nearmiss.web.context import Context
from nearmiss.web.palette import PALETTE
from nearmiss.web.visits import Notice, Visit, number_in, owners_only, reading, writing

__all__ = ["label_lines", "routes"]

#: Labels that can be added at once.
_MOST_LINES = 2_000


@dataclass(frozen=True, slots=True)
class _Gone:
    """A label that is offered no more, and the one that stands for it."""

    label: Label
    into: str


@dataclass(frozen=True, slots=True)
class _Consequences:
    """What follows when a label is retired or merged.

    Attributes
    ----------
    texts
        Texts that have it.
    settled
        Those of them that somebody settled on it.
    agreeing
        Texts on which people differ between the two labels alone.
    """

    texts: int
    settled: int
    agreeing: int = 0


def routes(context: Context) -> Sequence[Route]:
    """List what the pages answer."""
    one = "/settings/labels/{label:int}"
    return [
        reading(context, "/settings", owners_only(_show)),
        writing(context, "/settings/labels", owners_only(_add)),
        reading(context, one, owners_only(_show_one)),
        writing(context, one, owners_only(_change)),
        writing(context, f"{one}/move", owners_only(_move)),
        reading(context, f"{one}/retire", owners_only(_preview_retiring)),
        writing(context, f"{one}/retire", owners_only(_retire)),
        reading(context, f"{one}/merge", owners_only(_preview_merging)),
        writing(context, f"{one}/merge", owners_only(_merge)),
        writing(context, f"{one}/restore", owners_only(_restore)),
    ]


def label_lines(text: str) -> tuple[str, ...]:
    r"""Read label names, one a line; empty lines and repetitions do not count.

    Raises
    ------
    InvalidInput
        There are none, or more than 2000.

    Examples
    --------
    >>> label_lines("refund\r\n\r\n cancel \nrefund")
    ('refund', 'cancel')
    """
    names = tuple(dict.fromkeys(" ".join(line.split()) for line in text.splitlines() if line.strip()))
    if not 1 <= len(names) <= _MOST_LINES:
        raise InvalidInput(f"{len(names)} labels; write 1 to {_MOST_LINES}, one a line")
    return names


def _show(visit: Visit) -> Response:
    return _listing(visit, "", "")


def _listing(visit: Visit, typed: str, error: str) -> Response:
    every = visit.project.labels.every()
    names = {label.id: label.name for label in every}
    offered = visit.project.labels.offered()
    facts = {
        "labels": offered,
        "keys": shown_keys(offered),
        "gone": [
            _Gone(label, "" if label.merged_into is None else names[label.merged_into])
            for label in every
            if label.retired or label.merged_into is not None
        ],
        "typed": typed,
        "error": error,
    }
    return visit.page("settings.html", facts, status=400 if error else 200)


def _add(visit: Visit) -> Response:
    typed = visit.form.text("names")
    try:
        names = label_lines(typed)
        visit.project.labels.add_all(visit.person.name, [Label(0, name) for name in names])
    except InvalidInput as refusal:
        return _listing(visit, typed, str(refusal))
    told = f"Added: {names[0]}." if len(names) == 1 else f"Added: {len(names)} labels."
    return visit.onward("/settings", Notice(told))


def _show_one(visit: Visit) -> Response:
    return _editing(visit, _label(visit), "")


def _editing(visit: Visit, label: Label, error: str, status: int = 200) -> Response:
    field = next((name for name in ("name", "colour", "key", "seeds") if error.startswith(name)), "name")
    others = [other for other in visit.project.labels.offered() if other.id != label.id]
    chosen = label.color if not label.color or label.color in PALETTE.values() else "other"
    facts = {"label": label, "others": others, "palette": PALETTE, "chosen": chosen}
    return visit.page("label_settings.html", {**facts, "errors": {field: error} if error else {}}, status=status)


def _change(visit: Visit) -> Response:
    form, label = visit.form, _label(visit)
    color = form.text("other").strip() if form.text("color") == "other" else form.text("color")
    changes = {
        "name": form.text("name"),
        "description": form.text("description"),
        "color": color,
        "key": form.text("label_key"),
        "seeds": form.text("seeds"),
    }
    try:
        changed = visit.project.labels.change(visit.person.name, label.id, changes)
    except InvalidInput as refusal:
        typed = Label(
            label.id,
            changes["name"],
            changes["description"],
            color,
            changes["key"],
            texts=label.texts,
            seeds=changes["seeds"],
        )
        return _editing(visit, typed, _told(str(refusal)), status=400)
    if changed.seeds and changed.seeds != label.seeds and not changed.texts:
        visit.project.request_training()  # they are to find texts now, not after another batch
    return visit.onward("/settings", Notice(f"Saved: “{changed.name}”."))


def _told(refusal: str) -> str:
    """Begin the sentence with the field it is about."""
    if refusal.startswith(("key", "colour", "seeds")):
        return refusal
    return f"name: {refusal}"


def _move(visit: Visit) -> Response:
    """Change places with the neighbour above or below."""
    labels, label = visit.project.labels, _label(visit)
    with visit.project.database.writing():
        order = [known.id for known in labels.offered()]
        place = order.index(label.id)
        other = place + (-1 if visit.form.text("way") == "up" else 1)
        if 0 <= other < len(order):
            order[place], order[other] = order[other], order[place]
            now = {known.id: known.position for known in labels.offered()}
            free = sorted(now.values())
            if len(set(free)) < len(free):  # two had the same place: give everyone one of their own
                free = list(range(1, len(free) + 1))
            for moved, position in zip(order, free, strict=True):
                if now[moved] != position:
                    labels.change(visit.person.name, moved, {"position": position})
    return visit.onward(f"/settings#label-{label.id}")


def _preview_retiring(visit: Visit) -> Response:
    label = _label(visit)
    facts = {"label": label, "follows": _consequences(visit.project, label), "into": None}
    return visit.page("label_end.html", facts)


def _retire(visit: Visit) -> Response:
    label = visit.project.labels.retire(visit.person.name, _label(visit).id)
    return visit.onward("/settings", Notice(f"Retired: “{label.name}”. It can be restored below, with its texts."))


def _preview_merging(visit: Visit) -> Response:
    label, params = _label(visit), visit.request.query_params
    into = _offered(visit.project, params.get("into", ""), params.get("name", ""))
    if into.id == label.id:
        raise InvalidInput(f"label {label.name!r} cannot be merged into itself; choose another")
    facts = {"label": label, "follows": _consequences(visit.project, label, into), "into": into}
    return visit.page("label_end.html", facts)


def _merge(visit: Visit) -> Response:
    label = _label(visit)
    into = visit.project.labels.merge(visit.person.name, label.id, visit.form.number("into"))
    return visit.onward("/settings", Notice(f"Merged: “{label.name}” is now “{into.name}”. It can be restored below."))


def _restore(visit: Visit) -> Response:
    try:
        label = visit.project.labels.restore(visit.person.name, _label(visit).id)
    except InvalidInput as refusal:
        return _listing(visit, "", str(refusal))
    return visit.onward("/settings", Notice(f"Restored: “{label.name}”."))


def _label(visit: Visit) -> Label:
    wanted = visit.request.path_params["label"]
    for label in visit.project.labels.every():
        if label.id == wanted:
            return label
    raise UnknownName(f"no label number {wanted} in this project; go back to the list")


def _offered(project: Project, number: str, name: str) -> Label:
    if not number:
        return project.labels.named(name.strip())
    wanted = number_in("label", number)
    for label in project.labels.offered():
        if label.id == wanted:
            return label
    raise UnknownName(f"no label number {wanted} is offered; choose another")


def _consequences(project: Project, label: Label, into: Label | None = None) -> _Consequences:
    with project.database.reading() as connection:
        row = connection.execute(
            "SELECT count(*) AS texts, coalesce(sum(settled), 0) AS settled FROM decision WHERE label = ?", (label.id,)
        ).fetchone()
        agreeing = 0
        if into is not None:
            agreeing = connection.execute(
                "SELECT count(*) FROM (SELECT item FROM answer JOIN decision USING (item)"
                " WHERE disputed AND answer.kind <> 'skip' GROUP BY item"
                " HAVING min(coalesce(answer.label, 0) IN (?, ?)) = 1)",
                (label.id, into.id),
            ).fetchone()[0]
    return _Consequences(row["texts"], row["settled"], agreeing)
