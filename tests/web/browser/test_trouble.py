"""Slow, dead and restarted servers, reloads, refusals, hostile texts: nothing is lost, nothing counts twice."""

from __future__ import annotations

import socket

import pytest
from benchmarks.labelling.client import Server
from tests.web.browser.labeler import answers_of, events_of

from nearmiss.session.items import NewItem
from nearmiss.session.people import local_person
from nearmiss.session.project import Project

HOSTILE = [
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1"> <b>bold</b> &amp; &lt;',
    "{{ 7 * 7 }} ${7 * 7} </textarea></div>",
    "\u202eright to left\u202c عربى עברית",
    "a\x00b\x07c",
    "👩‍👩‍👧‍👦 \U0001f600 e\u0301 \u2028",
    "first line\nsecond line\n\n\tthird",
    "word" * 200,
    "x" * 1_000_000,
]


def test_a_reload_in_the_middle_changes_nothing(labeler, make_project):
    project = make_project(30)
    labeler.open(project)
    given = {labeler.give("1"): "animal" for _ in range(5)}
    in_sight = labeler.text
    labeler.driver.refresh()  # the last answer may still be on its way
    labeler.until(lambda: labeler.text)
    assert labeler.text == in_sight
    given |= {labeler.give("2"): "metal" for _ in range(5)}
    labeler.settle()
    assert len(given) == 10
    assert answers_of(project) == given
    # The page that was left took nothing from the one that came: how each text was chosen is known.
    assert all(source in ("random", "audit") for _, source in events_of(project))


def test_a_server_that_is_killed_and_started_again_loses_nothing(labeler, tmp_path):
    folder = tmp_path / "killed"
    with Project.create(folder, texts=[f"text number {n}" for n in range(40)], label_names=["animal", "metal"]) as made:
        made.settings.change("ann", {"classifier": "tfidf"})
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(folder, port)
    try:
        labeler.enter(server.link)
        given = {labeler.give("1"): "animal" for _ in range(3)}
        labeler.settle()
        server.kill()
        given |= {labeler.give("2"): "metal" for _ in range(3)}  # what travelled ahead
        labeler.until(lambda: "3 answers not saved yet. The server does not answer." in labeler.seen("unsaved"))
        assert labeler.seen("saved") == "Saving 3 …"
        labeler.press("u")  # never sent: taken back here
        labeler.until(lambda: "2 answers not saved yet" in labeler.seen("unsaved"))
        given.pop(labeler.text)
        server = Server(folder, port)
        labeler.until(labeler.is_saved)
        assert labeler.seen("unsaved") == ""
        given |= {labeler.give("1"): "animal" for _ in range(3)}
        labeler.settle()
    finally:
        server.kill()
    with Project.open(folder) as project:
        assert answers_of(project) == given
        assert len(events_of(project)) == len(given) == 8


def test_what_is_unsaved_outlives_the_page(labeler, make_project):
    project = make_project(20)
    labeler.open(project)
    labeler.cut_off("*/api/answers*")
    given = {labeler.give("1"): "animal", labeler.give("2"): "metal"}
    labeler.until(lambda: "2 answers not saved yet" in labeler.seen("unsaved"))
    labeler.driver.refresh()
    labeler.until(lambda: labeler.text)
    labeler.until(lambda: "2 answers not saved yet" in labeler.seen("unsaved"))
    assert labeler.text not in given  # what was answered is not asked again
    assert labeler.run("return document.getElementById('recent').children.length") == 2
    labeler.cut_off()
    labeler.settle()
    given[labeler.give("1")] = "animal"
    labeler.settle()
    assert answers_of(project) == given
    assert len(events_of(project)) == 3
    assert labeler.run("return Object.keys(localStorage).filter((name) => name.includes('outbox'))") == []


def test_a_slow_server_keeps_nobody_waiting(labeler, make_project):
    project = make_project(30, audit_share=0.5)
    labeler.open(project)
    labeler.slow_down(400)
    labeler.watch()
    given = {labeler.give(key): ("animal", "metal")[int(key) - 1] for key in "121"}
    assert max(labeler.times) < 400
    assert labeler.seen("saved").startswith("Saving")
    labeler.settle()
    for key in "2121":
        given[labeler.give(key)] = ("animal", "metal")[int(key) - 1]
    labeler.settle()
    assert answers_of(project) == given
    # Texts that were answered while an earlier answer travelled are still known to have been handed out.
    assert {source for _, source in events_of(project)} <= {"random", "audit"}


def test_a_page_that_was_opened_again_elsewhere_says_so(labeler, make_project):
    project = make_project(30)
    labeler.open(project)
    labeler.run("return fetch('/')")  # another window
    given = {labeler.give("1"): "animal" for _ in range(3)}
    labeler.press("2")
    labeler.until(lambda: "open in another window" in labeler.seen("nothing"))
    labeler.settle()
    assert list(answers_of(project))[:3] == list(given)
    labeler.run("document.querySelector('#nothing a').click()")
    labeler.until(lambda: labeler.text)
    labeler.give("1")
    labeler.settle()
    assert len(answers_of(project)) == 5


def test_an_answer_that_is_refused_comes_back(labeler, make_project):
    project = make_project(20, ("animal", "metal", "plant"))
    labeler.open(project)
    text = labeler.text
    project.labels.retire("ann", 3)
    labeler.press("n")
    labeler.press("a note\ue00c3")
    labeler.until(lambda: "Not saved: label 'plant' is retired" in labeler.seen("unsaved"))
    assert labeler.text == text
    assert labeler.run("return document.getElementById('note').value") == "a note"
    labeler.until(lambda: labeler.buttons("labels") == ["animal", "metal"], "the labels there are now")
    labeler.give("1")
    labeler.settle()
    assert labeler.seen("unsaved") == ""
    assert answers_of(project) == {text: "animal"}


def test_labels_that_are_added_meanwhile_appear(labeler, make_project):
    project = make_project(20)
    labeler.open(project)
    project.labels.add("ann", "plant")
    labeler.give("1")
    labeler.until(lambda: labeler.buttons("labels") == ["animal", "metal", "plant"])
    text = labeler.give("3")
    labeler.settle()
    assert answers_of(project)[text] == "plant"


def test_an_answer_given_elsewhere_is_the_one_that_undo_takes_back(labeler, make_project):
    project = make_project(20)
    labeler.open(project)
    ours = labeler.give("1")
    labeler.settle()
    elsewhere = next(text for text in (f"text number {n}" for n in range(1, 21)) if text not in (ours, labeler.text))
    project.tell(elsewhere.split()[-1], "metal", person=local_person())
    labeler.press("u")
    labeler.until(lambda: labeler.text == elsewhere and labeler.is_saved())
    assert answers_of(project) == {ours: "animal"}


def test_who_is_signed_out_meanwhile_loses_nothing(labeler, make_project):
    project = make_project(20)
    labeler.open(project)
    cookies = labeler.driver.get_cookies()
    labeler.driver.delete_all_cookies()
    text = labeler.give("1")
    labeler.until(lambda: "1 answer not saved yet. Sign in first" in labeler.seen("unsaved"))
    for cookie in cookies:
        labeler.driver.add_cookie(cookie)
    labeler.settle()
    assert answers_of(project) == {text: "animal"}


def test_when_all_is_labeled_the_page_says_so(labeler, make_project):
    project = make_project(3)
    labeler.open(project)
    labeler.press("121")
    labeler.until(lambda: "All 3 texts are labelled." in labeler.seen("nothing"))
    assert len(answers_of(project)) == 3
    labeler.press("1s")
    assert labeler.is_saved()
    labeler.press("u")
    labeler.until(lambda: labeler.text)
    labeler.settle()
    assert len(answers_of(project)) == 2


@pytest.mark.parametrize("paired", [False, True])
def test_hostile_texts_are_shown_as_they_are(labeler, make_project, paired):
    hostile = [NewItem(text, pair=text[::-1] if paired else None) for text in HOSTILE]
    project = make_project(hostile, ('<b title="x">', "metal"))
    labeler.open(project)
    assert labeler.buttons("labels") == ['<b title="x">', "metal"]
    shown = {}
    for _ in HOSTILE:
        if len(labeler.text) == 20_000:
            labeler.press(" ")
            labeler.until(lambda: len(labeler.text) == 1_000_000)
        shown[labeler.text] = labeler.run("return document.getElementById('second').textContent")
        before = labeler.text
        labeler.press("1")
        labeler.until(lambda before=before: labeler.text != before)
    labeler.settle()
    kept = [project.texts.get(number) for number in range(1, len(HOSTILE) + 1)]
    assert shown == {item.text: item.pair or "" for item in kept}
    assert [item.text for item in kept] == HOSTILE
    assert not labeler.run("return window.hacked")
    assert labeler.problems == []
