"""A project with several people, and one of them at the plain pages, signed in through the gate."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

import numpy as np
from starlette.testclient import TestClient
from tests.web.desk import ADDRESS, Resting

from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.origins import Neighbor, Origin, Source
from nearmiss.session.project import Project
from nearmiss.session.published import ModelFacts
from nearmiss.web.app import create_app

TOKEN = "the-secret-of-the-link"


class Outline(HTMLParser):
    """What a page is made of: its elements, its words, its forms with their fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.forms: list[tuple[dict[str, str], dict[str, str]]] = []
        self._by_tag: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        self._by_tag[tag].append(attributes)
        if tag == "form":
            self.forms.append((attributes, {}))
        elif tag == "input" and self.forms and "name" in attributes:
            self.forms[-1][1][attributes["name"]] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("a", "b", "q", "span", "strong"):  # what ends here stands apart from what follows
            self.words += " "

    def handle_data(self, data: str) -> None:
        self.words += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return self._by_tag[tag]

    def links(self) -> list[str]:
        return [each.get("href", "") for each in self.named("a")]

    def form(self, action: str) -> dict[str, str]:
        """Give the fields, as they are sent untouched, of the first form that goes there."""
        return next(fields for form, fields in self.forms if form.get("action") == action)

    def sends(self, action: str) -> bool:
        return any(form.get("action") == action for form, _ in self.forms)


class Guest:
    """Somebody who is signed in, by the link as a browser is, and sends forms as a browser does."""

    def __init__(self, project: Project, name: str = "ann", role: str = "owner") -> None:
        self.project = project
        self.name = name
        if all(known.name != name or known.role != role for known in project.people.every()):
            project.people.add(name, role=role)
        app = create_app(project, Resting(), ADDRESS, owner=name, token=TOKEN)
        self.client = TestClient(app, base_url=ADDRESS.link, follow_redirects=True, raise_server_exceptions=False)
        entered = self.client.get("/enter", params={"token": TOKEN})
        found = re.search(r'name="csrf-token" content="([\w-]+)"', self.client.get("/browse").text)
        assert found is not None, entered.text
        self.csrf = found[1]

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def see(self, path: str) -> Outline:
        answered = self.client.get(path)
        assert answered.status_code == 200, answered.text
        return Outline(answered.text)

    def send(self, path: str, fields: Mapping[str, Any]) -> Any:
        """Send a form, and follow to the page that comes after."""
        return self.client.post(path, data={"csrf_token": self.csrf, **fields})


def tell(project: Project, person: str, item: int, label: int | None, *, note: str = "", source: str = "model") -> None:
    """Answer a text as if it had come by the queue; no label is unsure."""
    kind = AnswerKind.UNSURE if label is None else AnswerKind.LABEL
    origin = Origin(Source(source), "margin", 0.125, 1, (1, 2), (0.55, 0.45), (Neighbor(2, 1, 0.25, 0.5, 2, 0.9),))
    project.answers.submit(person, Submission(item, kind, label, note=note, seconds=2.5), origin)


def give_model(project: Project, rows: Sequence[Sequence[float]]) -> None:
    """Put a model in use that says this of the texts, one row a text."""
    labels = tuple(label.id for label in project.labels.offered())
    facts = ModelFacts(1, "", "tfidf", "margin", labels, 4, 0.5, 0, 0, 0, None, len(rows))
    project.publish(facts, np.array(rows, dtype=np.float32), [], [], 0)


def found(page: Outline) -> list[int]:
    """List the texts that a page of the list shows, by number."""
    ids = [each.get("id", "") for each in page.named("li")]
    return [int(each.removeprefix("item-")) for each in ids if each.startswith("item-")]
