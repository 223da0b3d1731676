"""Against a real Label Studio, where there is one: its tasks pre-labelled, its labels heard, files both ways.

Name its executable, in an environment of its own, to run these::

    python -m venv ls && ls/bin/pip install label-studio
    NEARMISS_LABEL_STUDIO=ls/bin/label-studio python -m pytest tests/web/test_real_label_studio.py
"""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nearmiss.session.exchange.forms import read_items
from nearmiss.session.exchange.label_studio_export import label_studio_config
from nearmiss.session.project import Project
from nearmiss.session.training import Trainer
from nearmiss.session.transfer import import_items, write_export
from nearmiss.web.label_studio import label_studio_app
from nearmiss.web.server import ServerSettings, running

EXECUTABLE = os.environ.get("NEARMISS_LABEL_STUDIO")
TOKEN = "0123456789abcdef0123456789abcdef01234567"
pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="set NEARMISS_LABEL_STUDIO to a label-studio executable")


@dataclass
class LabelStudio:
    port: int

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            error.add_note(f"{method} {path}: {error.read()[:500]!r}")
            raise
        return json.loads(content) if content else None


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp("label-studio")
    settings = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "0",
        "LATEST_VERSION_CHECK": "0",
        "ML_BLOCK_LOCAL_IP": "false",  # it would not speak to this machine otherwise
        "SSRF_PROTECTION_ENABLED": "false",
    }
    command = [str(EXECUTABLE), "start", "--no-browser", "--port", str(port), "--user-token", TOKEN]
    command += ["--username", "ada@example.com", "--password", "Secret-12345"]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        tool = LabelStudio(port)
        for _ in range(240):
            try:
                tool.call("GET", "/api/projects")
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (data / "log").read_text()[-2000:]
                time.sleep(1)
        yield tool
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    texts = [f"a {word} film, number {number}" for number in range(20) for word in ("lovely", "dreadful")]
    with Project.create(tmp_path / "films", texts=texts, label_names=["bad", "good"]) as opened:
        opened.settings.change("me", {"classifier": "tfidf", "audit_share": 0.0})
        for number in range(1, 11):
            opened.tell(str(number), "good" if number % 2 else "bad")
        Trainer(opened).train()
        yield opened


@pytest.mark.timeout(600)
def test_a_real_label_studio(label_studio: LabelStudio, project: Project, tmp_path: Path):
    made = label_studio.call(
        "POST", "/api/projects", {"title": "films", "label_config": label_studio_config(["bad", "good"])}
    )
    number = made["id"]
    write_export(project, tmp_path / "tasks.json", "label-studio", everything=True)
    imported = label_studio.call(
        "POST", f"/api/projects/{number}/import", json.loads((tmp_path / "tasks.json").read_text())
    )
    assert imported["task_count"] == 40
    assert imported["annotation_count"] == 10

    settings = ServerSettings(port=0, guarded=True)
    with running(lambda address: label_studio_app(project, "secret", address.hosts), settings) as address:
        backend = label_studio.call(
            "POST", "/api/ml", {"project": number, "url": f"{address.link}/secret", "title": "nearmiss"}
        )
        assert backend["state"] == "CO", backend  # connected
        tasks = label_studio.call("GET", f"/api/tasks?project={number}&page_size=100")["tasks"]
        fresh = [task for task in tasks if not task["total_annotations"]]
        label_studio.call("POST", f"/api/ml/{backend['id']}/predict/test?random=true")
        # What Label Studio sends when somebody labels: the backend's webhook, registered as Label Studio does.
        label_studio.call(
            "POST",
            "/api/webhooks/",
            {
                "project": number,
                "url": f"{address.link}/secret/webhook",
                "send_payload": True,
                "send_for_all_actions": True,
            },
        )
        result = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["good"]}}]
        label_studio.call("POST", f"/api/tasks/{fresh[0]['id']}/annotations/", {"result": result, "lead_time": 2.5})
        text = fresh[0]["data"]["text"]
        deadline = time.monotonic() + 30
        while not (heard := _answers_to(project, text)):
            assert time.monotonic() < deadline, "the webhook was never heard"
            time.sleep(0.2)
        assert heard[0].seconds == 2.5

    exported = label_studio.call("GET", f"/api/projects/{number}/export?exportType=JSON&download_all_tasks=true")
    (tmp_path / "export.json").write_text(json.dumps(exported))
    with Project.create(tmp_path / "back") as back:
        report = import_items(back, read_items(tmp_path / "export.json"))
        assert (report.added, report.labeled) == (40, 11)
        assert {label.name: label.texts for label in back.labels.offered()} == {"bad": 5, "good": 6}


def _answers_to(project: Project, text: str) -> tuple[Any, ...]:
    found = next(item for item in range(1, 41) if project.texts.get(item).text == text)
    return tuple(answer for answer in project.answers.of_item(found) if answer.person.startswith("label-studio"))
