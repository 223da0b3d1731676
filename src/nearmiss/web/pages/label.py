"""The page where people label."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nearmiss.session.items import Item, as_item
from nearmiss.session.project import Project
from nearmiss.web.context import Context
from nearmiss.web.pages.api import MOST_HELD
from nearmiss.web.views import items_view, labels_version, labels_view, recent_view, standing

__all__ = ["rendered_guidelines", "routes"]

#: Texts that travel ahead, the one in sight included.
AHEAD = 4
#: Levels that headings in guidelines go down.
_BELOW = 3


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""

    def show(request: Request) -> Response:
        project, person = context.project, context.person(request)
        labels = project.labels.offered()
        if not project.texts.count() or len(labels) < 2:
            return RedirectResponse("/welcome", status_code=303)
        settings = project.settings.read()
        boot = {
            "project": project.uid,
            "person": person.name,
            "page": context.pages.opened(person.name),
            "labels": labels_view(labels),
            "labels_version": labels_version(labels),
            "suggestions": settings.suggestions,
            "ahead": AHEAD,
            "items": items_view(project, _at_hand(project, person.name)),
            "recent": recent_view(project, project.answers.recent(person.name)),
            **standing(project, person.name, context.trainings.state()),
        }
        guidelines = project.settings.guidelines()
        facts = {
            "boot": json.dumps(boot, ensure_ascii=False),
            "labels": labels_view(labels),
            "offered": settings.suggestions == "offered",
            "guidelines": rendered_guidelines(guidelines.text),
            "guidelines_version": guidelines.version,
        }
        return context.templates.TemplateResponse(request, "label.html", facts)

    return [Route("/", show)]


def _at_hand(project: Project, person: str) -> list[Item]:
    """Give the texts that a person has already, for a page that is loaded anew, and more where they are too few.

    What was answered on the page before, and is still on its way here, is among them: it keeps its reason so.
    """
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT item.* FROM lease JOIN item ON item.id = lease.item LEFT JOIN queue ON queue.item = lease.item"
            " WHERE lease.person = ? AND lease.expires > ? ORDER BY queue.position IS NULL, queue.position, item.draw"
            " LIMIT ?",
            (person, time.time(), MOST_HELD),
        ).fetchall()
    items = [as_item(row) for row in rows]
    held = [item.id for item in items]
    if len(items) >= AHEAD:
        project.queue.renew(person, held)
        return items
    return items + [pick.item for pick in project.queue.next(person, AHEAD - len(items), held)]


def rendered_guidelines(text: str) -> Markup:
    r"""Render Markdown; HTML in it is shown as it is written, and links to scripts are not made.

    Its headings go below those of the page that holds them.

    Examples
    --------
    >>> rendered_guidelines("# *Only* <b>this</b>")
    Markup('<h4><em>Only</em> &lt;b&gt;this&lt;/b&gt;</h4>\n')
    """
    markdown = MarkdownIt("js-default", {"html": False, "linkify": False}).disable("image")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + _BELOW)}"
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))
