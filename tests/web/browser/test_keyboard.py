"""Labelling by keys alone."""

from __future__ import annotations

import json
import statistics

import pytest
from tests.web.browser.labeler import answers_of, events_of

from nearmiss import load_dataset

ENTER, ESCAPE, DOWN = "\ue007", "\ue00c", "\ue015"


def test_fifty_texts_with_one_key_each(labeler, make_project, tmp_path):
    project = make_project(60, ("animal", "metal", "plant"))
    labeler.open(project)
    labeler.watch()
    given = {}
    for number in range(50):
        key = number % 3
        given[labeler.give(str(key + 1))] = ("animal", "metal", "plant")[key]
    labeler.settle()
    assert len(given) == 50
    assert answers_of(project) == given
    assert all(source != "person" for _, source in events_of(project))
    times = sorted(labeler.times)
    found = {"keys": len(times), "median": statistics.median(times), "p95": times[int(0.95 * len(times))]}
    (tmp_path / "latency.json").write_text(json.dumps(found))
    print(f"from a key to the next text, in ms: {found}")
    assert len(times) == 50
    assert labeler.problems == []


def test_undo_goes_back_to_the_first_text(labeler, make_project):
    project = make_project()
    labeler.open(project)
    given = [labeler.give(key) for key in "12121"]
    labeler.press("u")
    labeler.until(lambda: labeler.text == given[-1])
    labeler.press("uuuu")
    labeler.until(lambda: labeler.text == given[0])
    labeler.settle()
    labeler.until(lambda: not answers_of(project))
    labeler.press("u")
    labeler.until(lambda: labeler.said == "There is nothing left to undo.")
    # All of them come again, in the order in which they were, and can be answered otherwise.
    assert [labeler.give("2") for _ in given] == given
    labeler.settle()
    assert answers_of(project) == dict.fromkeys(given, "metal")


def test_undo_takes_back_what_was_said_before_the_page_was_loaded(labeler, make_project):
    project = make_project()
    labeler.open(project)
    given = [labeler.give("1"), labeler.give("2")]
    labeler.settle()
    labeler.driver.refresh()
    labeler.until(lambda: labeler.text)
    for text in reversed(given):
        labeler.press("u")
        labeler.until(lambda text=text: labeler.text == text)
    labeler.settle()
    assert answers_of(project) == {}


def test_seventy_seven_labels_by_typing(labeler, make_project):
    names = load_dataset("banking77").pool.label_names
    project = make_project(80, names)
    labeler.open(project)
    given = {}
    for name in names:
        # As much of the name as no shorter name begins with.
        others = [other for other in names if other != name and len(other) <= len(name)]
        starts = (name[:n] for n in range(1, len(name) + 1))
        typed = next(start for start in starts if not any(o.lower().startswith(start.lower()) for o in others))
        given[labeler.give(f"/{typed}{ENTER}")] = name
    labeler.settle()
    assert len(given) == 77
    assert answers_of(project) == given
    assert set(answers_of(project).values()) == set(names)


def test_typing_narrows_the_labels_down(labeler, make_project):
    project = make_project(5, [*(f"thing {n}" for n in range(12)), "lost_or_stolen_card", "card lost", "discarded"])
    labeler.open(project)
    labeler.press("/")
    labeler.press("car")
    assert labeler.buttons("labels") == ["lost_or_stolen_card", "card lost", "discarded"]
    assert labeler.said == "3 fit. Enter gives card lost."
    labeler.press(DOWN)
    assert labeler.said == "Enter gives discarded."
    labeler.press("xyz")
    assert labeler.buttons("labels") == []
    assert labeler.said == "No label fits."
    labeler.press(f"{ENTER}{ESCAPE}")
    assert len(labeler.buttons("labels")) == 15
    assert labeler.is_saved()
    assert answers_of(project) == {}
    text = labeler.give(f"/st ca{ENTER}")
    labeler.settle()
    assert answers_of(project) == {text: "lost_or_stolen_card"}


def test_skip_unsure_and_a_note(labeler, make_project):
    project = make_project()
    labeler.open(project)
    skipped, unsure = labeler.give("s"), labeler.give("q")
    labeler.settle()
    labeler.press("n")
    labeler.press("1 of 2, s/u?")
    assert labeler.is_saved()  # in a note, keys are letters
    labeler.press(ESCAPE)
    noted = labeler.give("1")
    plain = labeler.give("2")
    labeler.settle()
    assert answers_of(project) == {skipped: "skip", unsure: "unsure", noted: "animal", plain: "metal"}
    assert [answer.note for answer in project.answers.recent("root")] == ["", "1 of 2, s/u?", "", ""]
    labeler.press("uu")
    labeler.until(lambda: labeler.text == noted)
    assert labeler.run("return document.getElementById('note').value") == "1 of 2, s/u?"


def test_a_key_held_down_answers_one_text(labeler, make_project):
    project = make_project()
    labeler.open(project)
    first = labeler.text
    labeler.strike("1", "Digit1")
    for _ in range(5):
        labeler.strike("1", "Digit1", held=True)
    labeler.run("document.querySelector('#labels button').focus()")
    for held in (False, True, True):
        labeler.strike("\r", "Enter", held=held, windowsVirtualKeyCode=13)
    labeler.settle()
    assert list(answers_of(project)) == [first, *[text for text in answers_of(project) if text != first]]
    assert len(answers_of(project)) == 2


@pytest.mark.parametrize(
    "key, code, label",
    [("&", "Digit1", "animal"), ("é", "Digit2", "metal"), ("ы", "KeyS", "skip"), ("2", "Numpad2", "metal")],
)
def test_keyboards_of_other_layouts(labeler, make_project, key, code, label):
    project = make_project()
    labeler.open(project)
    text = labeler.text
    labeler.strike(key, code)
    labeler.until(lambda: labeler.text != text)
    labeler.settle()
    assert answers_of(project) == {text: label}


def test_a_letter_of_another_latin_layout_is_that_letter(labeler, make_project):
    # On a Dvorak keyboard, the key where others have S types an O.
    labeler.open(make_project())
    text = labeler.text
    labeler.strike("o", "KeyS")
    labeler.strike("a", "KeyQ")
    assert labeler.text == text
    assert labeler.is_saved()


def test_keys_can_be_switched_off(labeler, make_project):
    labeler.open(make_project())
    text = labeler.text
    labeler.press("?")
    assert "Keys and guidelines" in labeler.seen("help")
    labeler.run("document.getElementById('single-keys').click()")
    labeler.press(ESCAPE)
    labeler.press("1s")
    assert labeler.text == text
    labeler.driver.refresh()
    text = labeler.until(lambda: labeler.text)
    labeler.press("2")
    assert labeler.text == text
    assert labeler.is_saved()


def test_guesses_are_shown_when_asked_for_and_accepted_by_enter(labeler, make_trained_project):
    project = make_trained_project()
    labeler.open(project)
    assert labeler.buttons("guesses") == []
    text = labeler.text
    labeler.press(ENTER)
    assert labeler.text == text
    labeler.press("g")
    guesses = labeler.buttons("guesses")
    assert len(guesses) == 2
    best = labeler.run("return document.querySelector('#guesses button').children[1].textContent")
    labeler.give(ENTER)
    labeler.settle()
    assert answers_of(project)[text] == best
    labeler.driver.refresh()
    labeler.until(lambda: labeler.buttons("guesses"), "guesses, as they were left")
    labeler.press("g")
    assert labeler.buttons("guesses") == []


def test_why_is_told_and_goes_on_with_the_texts(labeler, make_trained_project):
    labeler.open(make_trained_project())
    labeler.press("e")
    labeler.until(lambda: "most like this one" in labeler.seen("why"))
    first = labeler.seen("why")
    assert "model" in first
    assert "KL" in first
    labeler.give("1")
    labeler.until(lambda: labeler.seen("why") not in ("", first))
    assert not labeler.run("return document.getElementById('why').classList.contains('stale')")
    labeler.press("e")
    assert labeler.seen("why") == ""


def test_a_screen_reader_hears_what_is_saved_and_what_comes(labeler, make_project):
    labeler.open(make_project())
    labeler.give("2")
    labeler.until(lambda: labeler.said == f"Saved: metal. Next text: {labeler.text}")
    labeler.press("u")
    labeler.until(lambda: labeler.said == f"Taken back. Next text: {labeler.text}")


def test_the_tab_key_reaches_every_button(labeler, make_project):
    labeler.open(make_project())
    reached = set()
    for _ in range(40):
        labeler.press("\ue004")
        reached.add(labeler.run("return document.activeElement.innerText.trim()"))
    assert {"1\nanimal", "2\nmetal", "S\nSkip", "U\nUndo", "?\nHelp"} <= {name.replace(" ", "\n") for name in reached}
