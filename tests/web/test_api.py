"""What the labelling page asks for: every answer saved once, the next texts at once, and nothing told too early."""

from __future__ import annotations

import json
import sqlite3
import uuid

import numpy as np
import pytest
from tests.web.desk import Desk, Resting

from nearmiss.analysis.estimates import Pool
from nearmiss.analysis.quality import accuracy
from nearmiss.session.items import NewItem
from nearmiss.session.origins import Source
from nearmiss.session.project import Project
from nearmiss.session.published import ModelFacts
from nearmiss.session.quality import ModelQuality
from nearmiss.session.readings import Reading, write_reading
from nearmiss.session.trainer_state import TrainerState
from nearmiss.session.training import Trainer

ANIMALS = ["cat", "dog", "horse", "cow", "goat", "hen", "duck", "pig"]
METALS = ["iron", "zinc", "lead", "gold", "tin", "brass", "steel", "chrome"]


def mixed_texts(n):
    """Texts of two kinds in turn, all different: odd numbers are of animals, even ones of metals."""
    kinds = (ANIMALS, METALS)
    return [f"{kinds[i % 2][i % 8]} {kinds[i % 2][i // 8 % 8]} and note {i}" for i in range(n)]


@pytest.fixture
def make_project(tmp_path):
    made = []

    def make(texts=30, labels=("animal", "metal"), **settings):
        chosen = mixed_texts(texts) if isinstance(texts, int) else texts
        project = Project.create(tmp_path / f"p{len(made)}", texts=chosen, label_names=labels)
        project.settings.change("ann", {"classifier": "tfidf", **settings})
        made.append(project)
        return project

    yield make
    for project in made:
        project.close()


@pytest.fixture
def desk(make_project):
    return Desk(make_project())


@pytest.fixture
def make_trained_desk(make_project):
    """A desk whose project has a model, made from twelve answers, and nothing handed out from before it."""

    def make(**settings):
        desk = Desk(make_project(80, **{"audit_share": 0.5, **settings}))
        for item in range(1, 13):
            desk.answer(item, 1 if item % 2 else 2)
        Trainer(desk.project).train()
        desk.project.queue.leave("ann")
        desk.load()
        return desk

    return make


def events(project):
    with project.database.reading() as connection:
        rows = connection.execute("SELECT item, key, body FROM event WHERE kind = 'answered' ORDER BY seq").fetchall()
    return [(row["item"], row["key"], json.loads(row["body"])) for row in rows]


def sources(project):
    return [body["origin"]["source"] for _, _, body in events(project)]


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_saved_and_the_next_text_comes_back(desk):
    first = desk.held[0]
    answered = desk.answer(first, 2, note=" why ", seconds=1.5)
    assert desk.project.answers.of_item(first)[0].label == 2
    assert (answered["item"], answered["repeated"]) == (first, False)
    assert len(answered["items"]) == 1
    assert answered["items"][0]["id"] not in {item["id"] for item in desk.boot["items"]}
    assert answered["progress"] == {"labeled": 1, "mine": 1, "texts": 30}
    [(_, _, body)] = events(desk.project)
    assert (body["note"], body["seconds"], body["suggestion_visible"]) == ("why", 1.5, False)


def test_the_whole_project_can_be_labeled_without_a_text_coming_twice(desk):
    seen = []
    while desk.held:
        seen.append(desk.held[0])
        desk.answer(desk.held[0])
    assert sorted(seen) == list(range(1, 31))


def test_an_answer_sent_twice_counts_once(desk):
    item, key = desk.held[0], str(uuid.uuid4())
    first, second = (desk.answer(item, 1, key=key) for _ in range(2))
    assert second["repeated"]
    assert second["event"] == first["event"]
    assert len(events(desk.project)) == 1


def test_a_key_gives_one_answer_only(desk):
    item, key = desk.held[0], str(uuid.uuid4())
    desk.answer(item, 1, key=key)
    refused = desk.post("/api/answers", {"item": item, "kind": "label", "label": 2, "key": key})
    assert refused.status_code == 400
    assert "key" in refused.json()["error"]
    assert desk.project.answers.of_item(item)[0].label == 1


@pytest.mark.parametrize("kind", ["skip", "unsure"])
def test_other_answers_need_no_label(desk, kind):
    item = desk.held[0]
    desk.answer(item, None, kind)
    assert desk.project.answers.of_item(item)[0].kind == kind


def test_undo_goes_back_as_far_as_there_are_answers(desk):
    given = desk.held[:3]
    for item in given:
        desk.answer(item)
    for item in reversed(given):
        undone = desk.post("/api/undo", {"key": str(uuid.uuid4())}).json()
        assert undone["undone"] == [item]
        assert [shown["id"] for shown in undone["shown"]] == [item]
    assert desk.post("/api/undo", {"key": str(uuid.uuid4())}).json()["event"] is None
    assert desk.project.answers.recent("ann") == ()


def test_an_undo_sent_twice_takes_back_one_answer(desk):
    for item in desk.held[:2]:
        desk.answer(item)
    key = str(uuid.uuid4())
    first, second = (desk.post("/api/undo", {"key": key}).json() for _ in range(2))
    assert first["undone"] == second["undone"]
    assert len(desk.project.answers.recent("ann")) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "perhaps"},
        {"kind": None},
        {"label": None},
        {"label": 99},
        {"label": True},
        {"label": "animal"},
        {"label": 10**30},
        {"kind": "skip"},
        {"item": None},
        {"item": 1.5},
        {"item": 10_000},
        {"item": 10**30},
        {"key": None},
        {"key": ""},
        {"key": "k" * 201},
        {"key": "\ud800"},
        {"note": "n" * 10_001},
        {"note": "\ud800"},
    ],
)
def test_what_cannot_be_an_answer_is_refused_and_nothing_is_saved(desk, body):
    sound = {"item": desk.held[0], "kind": "label", "label": 1, "key": "k", "held": [], "want": 0}
    content = json.dumps({**sound, **body})
    headers = {"X-CSRF-Token": desk.csrf, "Content-Type": "application/json"}
    refused = desk.client.post("/api/answers", headers=headers, content=content)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]
    assert events(desk.project) == []


@pytest.mark.parametrize("seconds", [None, "long", True, -1, 10**400, 1e300, float("nan")])
def test_a_time_that_says_nothing_is_left_out(desk, seconds):
    body = {"item": desk.held[0], "kind": "label", "label": 1, "key": "k", "seconds": seconds}
    headers = {"X-CSRF-Token": desk.csrf, "Content-Type": "application/json"}
    assert desk.client.post("/api/answers", headers=headers, content=json.dumps(body)).status_code == 200
    assert events(desk.project)[0][2]["seconds"] is None


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b"1", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(desk, content):
    refused = desk.client.post("/api/next", headers={"X-CSRF-Token": desk.csrf}, content=content)
    assert refused.status_code == 400
    assert refused.json()["error"]


@pytest.mark.parametrize(
    "body", [{"want": -1}, {"want": 21}, {"want": "2"}, {"held": list(range(21))}, {"held": ["1"]}, {"held": 1}]
)
def test_more_than_a_page_holds_is_refused(desk, body):
    assert desk.post("/api/next", body).status_code == 400


@pytest.mark.parametrize("path", ["/api/why/999999999999999999999999", "/api/items/999999999999999999999999/text"])
def test_a_number_beyond_all_texts_is_refused(desk, path):
    assert desk.client.get(path).status_code == 400


# ---- who may ask -----------------------------------------------------------------------------------------------------


def test_strangers_are_told_to_sign_in(desk):
    desk.client.cookies.clear()
    answered = desk.client.get("/api/state")
    assert answered.status_code == 401
    assert "Sign in" in answered.json()["error"]


@pytest.mark.parametrize("path", ["/api/answers", "/api/undo", "/api/next", "/api/held", "/api/leave"])
def test_nothing_is_written_without_the_token(desk, path):
    assert desk.client.post(path, json={"key": "k"}).status_code == 403


# ---- leases ----------------------------------------------------------------------------------------------------------


def test_nobody_gets_what_another_holds(make_project):
    project = make_project(8)
    ann, bob = Desk(project), Desk(project, "bob", role="annotator")
    assert set(ann.held).isdisjoint(bob.held)
    assert len({*ann.held, *bob.held}) == 8


def test_leaving_gives_the_texts_to_others(make_project):
    project = make_project(4)
    ann = Desk(project)
    assert Desk(project, "bob").held == []
    gone = ann.client.post("/api/leave", data={"csrf_token": ann.csrf, "page": ann.boot["page"]})
    assert gone.status_code == 204
    assert len(Desk(project, "bob").held) == 4


def test_a_page_that_was_loaded_anew_keeps_its_texts_when_the_old_one_is_left(make_project):
    # A browser says that the old page is left after the new one has come.
    project = make_project(4, audit_share=0)
    ann = Desk(project)
    old = ann.boot["page"]
    ann.load()
    ann.client.post("/api/leave", data={"csrf_token": ann.csrf, "page": old})
    assert Desk(project, "bob").held == []
    ann.answer(ann.held[0])
    assert sources(project) == [Source.RANDOM]  # not "looked up", as it would be without the lease


def test_a_request_of_the_old_page_that_comes_late_takes_nothing_from_the_new_one(make_project):
    project = make_project(12, audit_share=0)
    ann = Desk(project)
    old, item, others = ann.boot["page"], ann.held[0], ann.held[1:]
    ann.load()
    body = {"item": item, "kind": "label", "label": 1, "key": "k", "page": old, "held": others, "want": 1}
    late = ann.post("/api/answers", body).json()
    assert (late["items"], late["superseded"]) == ([], True)
    ann.post("/api/held", {"page": old, "held": others})
    assert project.answers.of_item(item)[0].label == 1
    answered = [ann.answer(each, page=ann.boot["page"]) for each in ann.held if each != item]
    assert [each["superseded"] for each in answered] == [False] * len(answered)
    assert set(sources(project)[1:]) == {Source.RANDOM}


def test_a_page_goes_on_when_the_server_was_started_again(make_project):
    ann = Desk(make_project(12))
    ann.restart()
    assert not ann.answer(ann.held[0], page=ann.boot["page"])["superseded"]
    assert len(ann.held) == 4


def test_texts_are_held_while_the_page_says_so(make_project):
    ann = Desk(make_project(8))
    kept = ann.held[:2]
    ann.post("/api/held", {"held": kept})
    bob = Desk(ann.project, "bob")
    assert set(bob.held).isdisjoint(kept)
    assert len(bob.held) == 4


# ---- texts, labels, guesses ------------------------------------------------------------------------------------------


def test_long_texts_travel_in_parts(make_project):
    first, second = "a" * 20_001, "b" * 30_000
    desk = Desk(make_project([NewItem(first, pair=second), NewItem("short", pair="too")]))
    [long] = [item for item in desk.boot["items"] if item["long"]]
    assert (len(long["text"]), len(long["pair"])) == (20_000, 20_000)
    assert desk.client.get(f"/api/items/{long['id']}/text").json() == {"text": first, "pair": second}


def test_labels_travel_when_they_have_changed(desk):
    version = desk.boot["labels_version"]
    assert "labels" not in desk.post("/api/next", {"held": desk.held, "labels_version": version}).json()
    desk.project.labels.add("ann", "plant")
    told = desk.post("/api/next", {"held": desk.held, "labels_version": version}).json()
    assert [label["name"] for label in told["labels"]] == ["animal", "metal", "plant"]
    assert [label["key"] for label in told["labels"]] == ["1", "2", "3"]
    assert told["labels_version"] != version


def test_guesses_travel_with_the_text_where_they_are_offered(make_trained_desk):
    desk = make_trained_desk()
    for item in desk.boot["items"]:
        shares = [guess["probability"] for guess in item["suggestions"]]
        assert len(shares) == 2
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=0.01)
    assert all(item["suggestions"] == [] for item in make_trained_desk(suggestions="never").boot["items"])


def test_accuracy_is_told_with_its_interval_once_enough_is_known(desk):
    def published(audits, right):
        facts = ModelFacts(audits, "", "tfidf", "random", (1, 2), 50, 1.0, 60, audits, right, None, 30)
        found = accuracy(right, audits, Pool(remaining=10**9), 0.05)
        quality = ModelQuality(audits, found, found, {})
        reading = Reading(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        with desk.project.database.writing() as connection:
            desk.project.models.publish(connection, facts)
            write_reading(connection, audits, reading, quality.as_json())
        return desk.client.get("/api/state").json()["model"]["accuracy"]

    assert published(19, 15) is None
    told = published(30, 24)
    assert (told["share"], told["checks"]) == (0.8, 30)
    assert 0.6 < told["low"] < 0.8 < told["high"] < 0.95


# ---- why this text ---------------------------------------------------------------------------------------------------


def test_why_is_told_before_there_is_a_model(desk):
    told = desk.why(desk.held[0])
    assert told["sentence"].startswith("There is no model yet")
    assert (told["guesses"], told["neighbors"]) == ([], [])


def test_why_names_guesses_and_neighbors(make_trained_desk):
    desk = make_trained_desk(audit_share=0.0)
    told = desk.why(desk.held[0])
    assert "model" in told["sentence"]
    assert {name for name, _ in told["guesses"]} == {"animal", "metal"}
    assert len(told["neighbors"]) == 5
    for near in told["neighbors"]:
        assert near["label"] == ("animal" if near["item"] % 2 else "metal")
        assert near["divergence"] >= 0


def shape(value):
    """What a value is made of, its words and numbers left out."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def test_nothing_tells_a_random_check_from_a_pick_before_it_is_answered(make_trained_desk):
    desk = make_trained_desk()
    told, origins = {}, {}
    for _ in range(12):
        item = desk.held[0]
        why = desk.why(item)
        assert why["source"] == why["details"] == ""
        assert "random" not in json.dumps(why)
        assert "no model" not in why["sentence"]
        told[item] = shape(why)
        desk.answer(item, 1 if item % 2 else 2)
        origins[item] = desk.why(item)["source"]
    kinds = {source: [told[item] for item in told if origins[item] == source] for source in origins.values()}
    assert set(kinds) == {"the model’s pick", "random check"}
    assert all(each == kinds["random check"][0] for each in [*kinds["the model’s pick"], *kinds["random check"]])


def test_a_text_handed_out_before_the_model_is_told_in_the_models_words(make_project):
    desk = Desk(make_project(40))
    for item in range(1, 13):
        desk.answer(item, 1 if item % 2 else 2)
    Trainer(desk.project).train()
    told = desk.why(desk.held[0])
    assert "no model" not in told["sentence"]
    assert len(told["guesses"]) == 2


def test_a_project_without_guesses_keeps_them_back_until_the_answer(make_trained_desk):
    desk = make_trained_desk(suggestions="never")
    item = desk.held[0]
    before = desk.why(item)
    assert (before["guesses"], before["neighbors"], before["details"]) == ([], [], "")
    assert "kept back" in before["sentence"]
    desk.answer(item)
    assert len(desk.why(item)["guesses"]) == 2


def test_a_text_that_nobody_handed_out_was_chosen_by_a_person(desk):
    told = desk.why(next(item for item in range(1, 31) if item not in desk.held))
    assert told["sentence"] == "Somebody chose this text, not nearmiss."


# ---- when something is wrong -----------------------------------------------------------------------------------------


def test_a_locked_file_is_told_as_something_that_passes(make_project, monkeypatch):
    monkeypatch.setattr("nearmiss.session.database._PATIENCE", 0.05)
    desk = Desk(make_project())
    other = sqlite3.connect(desk.project.database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    body = {"item": desk.held[0], "kind": "label", "label": 1, "key": "k"}
    refused = desk.post("/api/answers", body)
    assert refused.status_code == 503
    assert "locked" in refused.json()["error"]
    other.execute("ROLLBACK")
    other.close()
    assert desk.post("/api/answers", body).status_code == 200


class Broken(Resting):
    """A trainer whose state cannot be read any more."""

    broken = False

    def state(self) -> TrainerState:
        if self.broken:
            raise RuntimeError("a secret of the house")
        return TrainerState()


def test_a_fault_of_ours_is_told_without_its_traceback(make_project):
    trainings = Broken()
    desk = Desk(make_project(), trainings=trainings)
    trainings.broken = True
    failed = desk.client.get("/api/state")
    assert failed.status_code == 500
    assert set(failed.json()) == {"error"}
    assert "secret" not in failed.text
    page = desk.client.get("/")
    assert page.status_code == 500
    assert "secret" not in page.text
    assert "<h1>" in page.text


def test_an_address_that_is_none_is_told_in_json(desk):
    missing = desk.client.get("/api/nothing")
    assert missing.status_code == 404
    assert missing.json() == {"error": "Not Found"}
