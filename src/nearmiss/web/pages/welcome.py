"""How to begin, while a project has no texts or too few labels."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput
from nearmiss.session.labels import Label
from nearmiss.session.project import Project
from nearmiss.web.context import Context
from nearmiss.web.pages.settings import label_lines
from nearmiss.web.visits import Notice, Visit, owners_only, reading, writing

__all__ = ["needs_welcome", "routes"]

#: Fewer labels leave nothing to choose between.
FEWEST_LABELS = 2


def needs_welcome(project: Project) -> bool:
    """Say whether there is nothing to label yet, or nothing to label it with."""
    return not project.texts.count() or len(project.labels.offered()) < FEWEST_LABELS


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""
    return [reading(context, "/welcome", _show), writing(context, "/welcome/labels", owners_only(_add_labels))]


def _show(visit: Visit) -> Response:
    page = _page(visit, "", "")
    # A notice is told here, and by that struck out, even when all is ready: it says which columns a file was read by.
    tells = "set-cookie" in page.headers
    return page if tells or needs_welcome(visit.project) else visit.onward("/")


def _page(visit: Visit, typed: str, error: str) -> Response:
    facts = {
        "texts": visit.project.texts.count(),
        "labels": visit.project.labels.offered(),
        "fewest": FEWEST_LABELS,
        "ready": not needs_welcome(visit.project),
        "typed": typed,
        "error": error,
    }
    return visit.page("welcome.html", facts, status=400 if error else 200)


def _add_labels(visit: Visit) -> Response:
    typed = visit.form.text("names")
    try:
        added = label_lines(typed)
        visit.project.labels.add_all(visit.person.name, [Label(0, name) for name in added])
    except InvalidInput as refusal:
        return _page(visit, typed, str(refusal))
    return visit.onward("/welcome", Notice(f"Added: {len(added)} labels."))
