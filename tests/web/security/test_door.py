"""Signing in with a password: guesses slowed down, nothing told apart, no way out through the door."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.web.desk import ADDRESS, Resting

from nearmiss.errors import InvalidInput, NearmissError
from nearmiss.session.project import Project
from nearmiss.web.app import create_app
from nearmiss.web.security.passwords import hash_password, verify_password
from nearmiss.web.security.rate import AttemptLimit
from nearmiss.web.server import ServerSettings, running

PASSWORD = "correct horse battery"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "p", texts=["one", "two"], label_names=["a", "b"]) as opened:
        opened.people.add("Ada", password_hash=hash_password(PASSWORD))
        yield opened


@pytest.fixture
def door(project: Project) -> TestClient:
    app = create_app(project, Resting(), ADDRESS, owner="me", token="t" * 24)
    return TestClient(app, base_url=ADDRESS.link, follow_redirects=False)


def test_name_and_password_open(door, project):
    answer = door.post("/login", data={"name": "Ada", "password": PASSWORD, "next": "/browse"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/browse")
    assert door.get("/browse").status_code == 200
    assert "Ada" in door.get("/browse").text


def test_a_wrong_name_and_a_wrong_password_are_told_alike(door):
    answers = [
        door.post("/login", data={"name": name, "password": "something else"}) for name in ("Ada", "Nobody at all")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    told = [re.search(r'role="alert"[^>]*>([^<]*)', answer.text)[1] for answer in answers]
    assert told[0] == told[1] != ""


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_the_door_leads_nowhere_else(door, onward):
    answer = door.post("/login", data={"name": "Ada", "password": PASSWORD, "next": onward})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "evil" not in door.get("/login", params={"next": onward}).text


def test_guesses_are_made_to_wait(door):
    codes = [door.post("/login", data={"name": "Ada", "password": f"guess number {i}"}).status_code for i in range(8)]
    assert codes[:6] == [403] * 6
    assert codes[-1] == 429
    late = door.post("/login", data={"name": "Ada", "password": PASSWORD})
    assert late.status_code == 429
    assert int(late.headers["Retry-After"]) >= 1


def test_waits_grow_and_end():
    time = 0.0
    limit = AttemptLimit(lambda: time)
    waits = []
    for _ in range(20):
        limit.failed("ada")
        waits.append(limit.wait("ada"))
        time += waits[-1]
    assert waits[:5] == [0.0] * 5
    assert waits[5:8] == [2.0, 4.0, 8.0]
    assert max(waits) == waits[-1] == 900.0
    assert limit.wait("ada") == 0.0
    limit.succeeded("ada")
    limit.failed("ada")
    assert limit.wait("ada") == 0.0


def test_memory_of_guesses_is_bounded():
    limit = AttemptLimit(lambda: 0.0)
    for number in range(10_050):
        limit.failed(f"address {number}")
    assert len(limit._known) == 10_000


def test_whoever_is_removed_is_out_at_once(door, project):
    door.post("/login", data={"name": "Ada", "password": PASSWORD})
    assert door.get("/browse").status_code == 200
    project.people.remove("Ada")
    assert door.get("/browse").status_code == 303


def test_passwords_are_kept_as_hashes_alone(project):
    kept = project.people.password_hash("Ada")
    assert kept.startswith("$argon2")
    assert PASSWORD.encode() not in b"".join(path.read_bytes() for path in project.folder.glob("project.db*"))
    assert verify_password(PASSWORD, kept)
    assert not verify_password("correct horse batterx", kept)
    assert not verify_password(PASSWORD, "no hash at all")


@pytest.mark.parametrize("password", ["", "short", "x" * 2000])
def test_short_and_endless_passwords_are_refused(password):
    with pytest.raises(InvalidInput, match="characters"):
        hash_password(password)


# ---- where the server listens -------------------------------------------------------------------------------------


async def silent(scope, receive, send):
    pass


def application(address):
    return silent


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_are_not_let_in_without_passwords(host):
    with (
        pytest.raises(InvalidInput, match="nobody has a password"),
        running(lambda address: None, ServerSettings(host)),
    ):
        pass


def test_a_port_that_is_taken_is_told_and_without_one_the_next_is_found():
    with running(application, ServerSettings(port=0)) as first:
        taken = ServerSettings(port=first.port)
        with pytest.raises(NearmissError, match=str(first.port)), running(application, taken):
            pass
    with (
        running(application, ServerSettings()) as one,
        running(application, ServerSettings()) as other,
    ):
        assert one.port != other.port


@pytest.mark.parametrize("settings", [{"certificate": Path("c.pem")}, {"port": 70_000}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(InvalidInput):
        ServerSettings(**settings)
