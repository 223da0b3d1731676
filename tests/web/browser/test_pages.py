"""The plain pages in a real browser: usable by everybody, nothing wider than the screen, one key settles."""

from __future__ import annotations

import pytest

SIZES = {"wide and light": (1280, 900, False), "narrow and dark": (390, 844, True)}
PAGES = (
    "/browse",
    "/browse?words=cat&label=1",
    "/browse/bulk?label=1&give=2",
    "/items/1",
    "/items/40",
    "/settle",
    "/progress",
    "/settings",
    "/settings/labels/1",
    "/settings/labels/1/retire",
    "/settings/labels/1/merge?into=2",
    "/settings/training",
    "/settings/guidelines",
    "/people",
    "/export",
)
_OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"


@pytest.fixture
def visit(labeler):
    """Go to a page of the project that is served."""

    def go(path):
        base = labeler.run("return location.origin")
        labeler.driver.get(base + path)
        labeler.until(lambda: labeler.run("return document.readyState") == "complete", path)

    return go


@pytest.fixture
def project(make_trained_project):
    project = make_trained_project(overlap=2)
    project.people.add("ben", password_hash="none")
    for item, label in ((1, "metal"), (2, "metal"), (3, "metal"), (4, "animal")):
        project.tell(str(item), label, person="ben", note="are you sure?")
    project.labels.change("root", 1, {"color": "#3d84c6", "description": "What lives"})
    project.settings.write_guidelines("root", "# How\n\nOne label a text.")
    return project


@pytest.mark.parametrize("size", SIZES)
def test_everybody_can_use_every_page(labeler, project, visit, axe, size):
    width, height, dark = SIZES[size]
    labeler.open(project, width=width, height=height, dark=dark)
    found = {}
    for path in PAGES:
        visit(path)
        labeler.run(_OPEN_ALL)
        wrong = labeler.violations(axe)
        if labeler.run("return document.documentElement.scrollWidth") > width:
            wrong.append("wider than the screen")
        elsewhere = labeler.run(
            "return performance.getEntriesByType('resource').map((each) => new URL(each.name).origin)"
            ".filter((origin) => origin !== location.origin)"
        )
        severe = [problem for problem in labeler.problems if "SEVERE" in problem or "Refused" in problem]
        if wrong or elsewhere or severe:
            found[path] = [*wrong, *elsewhere, *severe]
    assert found == {}


def test_one_key_settles_the_first_text(labeler, project, visit):
    labeler.open(project)
    visit("/settle")
    labeler.press("1")
    labeler.until(lambda: "Settled: text 1" in labeler.run("return document.body.innerText"))
    assert project.browser.find(1).settled
    assert not project.browser.find(3).settled


def test_keys_typed_into_a_field_settle_nothing(labeler, project, visit):
    labeler.open(project)
    visit("/settle")
    labeler.run("document.getElementById('note-1').focus()")
    labeler.press("1")
    assert labeler.run("return document.getElementById('note-1').value") == "1"
    assert not project.browser.find(1).settled


def test_news_of_the_trainer_is_offered_not_forced(labeler, project, visit):
    labeler.open(project)
    visit("/progress")
    assert not labeler.seen("newer")
    labeler.run("document.getElementById('trainer-told').dataset.version = '0'")
    labeler.until(lambda: "There is news" in labeler.seen("newer"))
