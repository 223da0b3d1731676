"""What every page is handed: the project, the templates and the trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request
from starlette.templating import Jinja2Templates

from nearmiss.session.people import Person
from nearmiss.session.project import Project
from nearmiss.session.trainer_state import TrainerState
from nearmiss.web.latest_pages import LatestPages

__all__ = ["Context", "Trainings"]


class Trainings(Protocol):
    """The training process, as pages see it."""

    def state(self) -> TrainerState:
        """Say what it is doing."""
        ...

    def cancel(self) -> None:
        """Stop the training that runs; the last good model stays in use, and new labels start another."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a page needs.

    Attributes
    ----------
    project
        What is worked on.
    trainings
        The training process.
    templates
        The Jinja environment; autoescape is always on.
    person
        Says who sends a request; requests without a person never reach a page.
    pages
        Which labelling page each person loaded last.
    """

    project: Project
    trainings: Trainings
    templates: Jinja2Templates
    person: Callable[[Request], Person]
    pages: LatestPages = field(default_factory=LatestPages)
