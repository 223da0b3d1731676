"""Whether everybody can use the page: axe's judgement in light and dark, wide and narrow; its size; its hosts."""

from __future__ import annotations

import pytest

from nearmiss.session.items import NewItem

SIZES = {"wide": (1280, 900), "narrow": (390, 844)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_use_it(labeler, make_trained_project, axe, size, dark):
    width, height = SIZES[size]
    project = make_trained_project()
    project.labels.change("root", 1, {"color": "#3d84c6", "description": "What lives"})
    project.settings.write_guidelines("root", "# How\n\nOne label a text.")
    labeler.open(project, width=width, height=height, dark=dark)
    labeler.give("1")
    assert labeler.violations(axe) == []
    labeler.press("gen")
    labeler.until(lambda: "most like this one" in labeler.seen("why"))
    assert labeler.violations(axe) == []
    labeler.press("\ue00c?")
    labeler.until(lambda: "One label a text." in labeler.seen("help"))
    assert labeler.violations(axe) == []
    assert labeler.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("size", SIZES)
def test_everybody_can_use_it_with_many_labels_long_pairs_and_trouble(labeler, make_project, axe, size):
    width, height = SIZES[size]
    long = "A sentence that goes on. " * 200
    pairs = [NewItem(f"{long} {n}", pair=f"{long} {n}") for n in range(8)]
    project = make_project(pairs, [f"label_number_{n}" for n in range(77)])
    labeler.open(project, width=width, height=height)
    assert labeler.seen("more")
    labeler.press(" ")
    assert not labeler.seen("more")
    labeler.press(" ")
    assert labeler.run("return document.getElementById('text').scrollTop") > 0
    labeler.cut_off("*/api/*")
    labeler.press("1")
    labeler.until(lambda: labeler.seen("unsaved"))
    assert labeler.violations(axe) == []
    assert labeler.run("return document.documentElement.scrollWidth") <= width


def test_it_has_one_heading_and_one_main_part(labeler, make_project):
    labeler.open(make_project())
    assert labeler.run("return document.querySelectorAll('h1').length") == 1
    assert labeler.run("return document.querySelectorAll('main').length") == 1
    named = "return [...document.querySelectorAll('button')].every((b) => b.innerText.trim() || b.ariaLabel)"
    assert labeler.run(named)


def test_it_asks_no_other_host_and_is_light(labeler, make_project):
    labeler.open(make_project(20, [f"label {n}" for n in range(77)]))
    labeler.command("Network.clearBrowserCache")
    labeler.driver.refresh()
    labeler.until(lambda: labeler.text)
    found = labeler.run(
        "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map((entry) => [entry.name, entry.transferSize])"
    )
    origin = labeler.run("return location.origin")
    assert all(name.startswith(f"{origin}/") for name, _ in found)
    assert 10_000 < sum(size for _, size in found) < 60_000
