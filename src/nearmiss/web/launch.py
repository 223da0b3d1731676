"""A project's page, served: the application, the training process beside it, and the link that lets its owner in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from starlette.types import ASGIApp

from nearmiss.session.people import local_person
from nearmiss.session.project import Project
from nearmiss.session.training_process import TrainingProcess
from nearmiss.web.app import create_app
from nearmiss.web.context import Trainings
from nearmiss.web.server import Address, ServerSettings, running, serve

__all__ = ["launch", "launched"]


def launch(project: Project, settings: ServerSettings, *, on_ready: Callable[[str], None]) -> None:
    """Serve a project's page until Ctrl-C, with a training process beside it.

    Parameters
    ----------
    on_ready
        Called with the link that signs the owner in.

    Raises
    ------
    NearmissError, InvalidInput
        As ``serve``.
    """
    token = secrets.token_urlsafe(24)
    owner = _owner(project)
    with TrainingProcess(project) as trainings:
        serve(
            partial(_application, project, trainings, owner, token),
            settings,
            on_ready=lambda address: on_ready(f"{address.link}/enter?token={token}"),
        )


@contextmanager
def launched(project: Project, settings: ServerSettings, trainings: Trainings) -> Iterator[str]:
    """Serve a project's page in a thread while the context lasts, and give the link that signs the owner in."""
    token = secrets.token_urlsafe(24)
    with running(partial(_application, project, trainings, _owner(project), token), settings) as address:
        yield f"{address.link}/enter?token={token}"


def _application(project: Project, trainings: Trainings, owner: str, token: str, address: Address) -> ASGIApp:
    return create_app(project, trainings, address, owner=owner, token=token)


def _owner(project: Project) -> str:
    """Name whom the link signs in: the person at this machine, made an owner of projects that came from elsewhere."""
    person = local_person()
    if all(known.name != person for known in project.people.every()):
        project.people.add(person, role="owner")
    return person
