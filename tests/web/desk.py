"""A project's page in this process, and somebody who is signed in to it."""

from __future__ import annotations

import html
import json
import re
import uuid
from typing import Any

from starlette.testclient import TestClient

from nearmiss.session.project import Project
from nearmiss.session.trainer_state import TrainerState
from nearmiss.web.app import create_app
from nearmiss.web.security.sessions import cookie_name
from nearmiss.web.server import Address

ADDRESS = Address("http://127.0.0.1:8765", 8765, False, frozenset({"127.0.0.1:8765"}))


class Resting:
    """A trainer that does nothing, as far as the page can see."""

    def state(self) -> TrainerState:
        return TrainerState()

    def cancel(self) -> None: ...


class Desk:
    """Somebody at the labelling page, who has loaded it."""

    def __init__(self, project: Project, person: str = "ann", *, role: str = "owner", trainings: Any = None) -> None:
        self.project = project
        if all(known.name != person for known in project.people.every()):
            project.people.add(person, role=role)
        self._person, self._session, self._trainings = person, project.people.create(person), trainings or Resting()
        self.restart()
        self.load()

    def restart(self) -> None:
        """Start the server anew; the page does not notice."""
        app = create_app(self.project, self._trainings, ADDRESS, owner=self._person, token="not used here")
        self.client = TestClient(app, base_url=ADDRESS.link, raise_server_exceptions=False)
        self.client.cookies.set(cookie_name(ADDRESS.port), self._session)

    def load(self) -> None:
        """Load the page, and read what it holds for its script."""
        self.page = self.client.get("/").text
        found = re.search(r'name="csrf-token" content="(\w+)"', self.page)
        assert found, self.page
        self.csrf = found[1]
        boot = re.search(r'data-boot="([^"]*)"', self.page)
        self.boot: dict[str, Any] = json.loads(html.unescape(boot[1])) if boot else {}
        self.held: list[int] = [item["id"] for item in self.boot.get("items", [])]

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(path, headers={"X-CSRF-Token": self.csrf}, json=body)

    def answer(self, item: int, label: int | None = 1, kind: str = "label", **more: Any) -> dict[str, Any]:
        """Answer a text as the page does, and keep what comes back to hold."""
        self.held = [each for each in self.held if each != item]
        body = {"item": item, "kind": kind, "label": label, "key": str(uuid.uuid4()), "held": self.held, "want": 1}
        answered = self.post("/api/answers", {**body, **more})
        assert answered.status_code == 200, answered.text
        self.held += [each["id"] for each in answered.json()["items"]]
        return answered.json()

    def why(self, item: int) -> dict[str, Any]:
        answered = self.client.get(f"/api/why/{item}")
        assert answered.status_code == 200, answered.text
        return answered.json()
