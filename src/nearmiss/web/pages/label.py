"""The page where people label."""

from __future__ import annotations

import json
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nearmiss.web.context import Context
from nearmiss.web.views import labels_version, labels_view, picks_view, recent_view, standing

__all__ = ["rendered_guidelines", "routes"]

#: Texts that travel ahead, the one in sight included.
AHEAD = 4


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
            "labels": labels_view(labels),
            "labels_version": labels_version(labels),
            "suggestions": settings.suggestions,
            "ahead": AHEAD,
            "items": picks_view(project, project.queue.next(person.name, AHEAD)),
            "recent": recent_view(project, project.answers.recent(person.name)),
            **standing(project, person.name, context.trainings.state()),
        }
        guidelines = project.settings.guidelines()
        facts = {
            "boot": json.dumps(boot, ensure_ascii=False),
            "labels": labels_view(labels),
            "guidelines": rendered_guidelines(guidelines.text),
            "guidelines_version": guidelines.version,
        }
        return context.templates.TemplateResponse(request, "label.html", facts)

    return [Route("/", show)]


def rendered_guidelines(text: str) -> Markup:
    r"""Render Markdown; HTML in it is shown as it is written, and links to scripts are not made.

    Examples
    --------
    >>> rendered_guidelines("*Only* <b>this</b>")
    Markup('<p><em>Only</em> &lt;b&gt;this&lt;/b&gt;</p>\n')
    """
    return Markup(MarkdownIt("js-default", {"html": False, "linkify": False}).disable("image").render(text))
