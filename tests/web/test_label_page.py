"""The labelling page as it is sent: what its script needs, nothing that a browser would run, and not much of it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.web.desk import Desk

import nearmiss.web
from nearmiss.session.project import Project

STATIC = Path(nearmiss.web.__file__).parent / "static"
HOSTILE = [
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "' onmouseover='window.hacked = 1",
    "</div><!-- {{ 7 * 7 }} {% raw %} &amp; &#60;b&#62;",
    "\u202eright to left\u202c عربى עברית",
    "a\x00b\x07c\ufffe",
    "👩‍👩‍👧‍👦 \U0001f600 e\u0301",
    "\u2028 and \u2029 between lines\r\n\ttabs",
]


class Reader(HTMLParser):
    """Notes every element, and what each may do."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.loud: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.loud += [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def make_desk(tmp_path):
    made = []

    def make(texts=("one", "two", "three", "four", "five", "six"), labels=("yes", "no"), **kept):
        project = Project.create(tmp_path / f"p{len(made)}", texts=texts, label_names=labels, **kept)
        made.append(project)
        return Desk(project)

    yield make
    for project in made:
        project.close()


def test_the_page_brings_the_first_texts_with_it(make_desk):
    boot = make_desk().boot
    assert len(boot["items"]) == boot["ahead"] == 4
    assert {item["text"] for item in boot["items"]} < {"one", "two", "three", "four", "five", "six"}
    assert [(label["name"], label["key"]) for label in boot["labels"]] == [("yes", "1"), ("no", "2")]
    assert (boot["person"], boot["recent"], boot["model"]) == ("ann", [], None)
    assert boot["progress"] == {"labeled": 0, "mine": 0, "texts": 6}


def test_the_page_remembers_the_last_ten_answers(make_desk):
    desk = make_desk([f"text {number}" for number in range(15)])
    given = [desk.held[0]]
    desk.answer(given[0], None, "skip")
    for _ in range(10):
        given.append(desk.held[0])
        desk.answer(desk.held[0], 2, note="so")
    desk.load()
    recent = desk.boot["recent"]
    assert [each["item"] for each in recent] == given[:0:-1]
    assert {(each["kind"], each["name"], each["note"]) for each in recent} == {("label", "no", "so")}


def test_an_empty_project_shows_how_to_begin(make_desk):
    for desk in (make_desk(texts=()), make_desk(labels=("only one",)), make_desk(labels=())):
        answered = desk.client.get("/", follow_redirects=False)
        assert (answered.status_code, answered.headers["location"]) == (303, "/welcome")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_texts_and_names_stay_words(make_desk, hostile):
    printable = hostile if hostile.isprintable() else "plain"
    desk = make_desk([hostile, "other"], [printable, "no"], name=printable)
    desk.project.settings.write_guidelines("ann", hostile)
    desk.project.labels.change("ann", 1, {"description": hostile})
    desk.load()
    assert hostile in {item["text"] for item in desk.boot["items"]}
    assert desk.boot["labels"][0]["name"] == printable
    page = Reader(desk.page)
    assert page.loud == []
    assert page.named("script") == [{"type": "module", "src": page.named("script")[0]["src"]}]
    assert page.named("script")[0]["src"].startswith("/static/label.js?")
    assert page.named("img") == page.named("style") == page.named("iframe") == page.named("base") == []


def test_guidelines_are_markdown_without_html(make_desk):
    desk = make_desk()
    written = "# How\n\n*Say* **what** it is. <b>bold</b> [run](javascript:alert(1)) ![seen](http://x.example/p.png)"
    desk.project.settings.write_guidelines("ann", written)
    desk.load()
    assert "<em>Say</em> <strong>what</strong>" in desk.page
    assert len(Reader(desk.page).named("h1")) == 1
    assert "&lt;b&gt;bold&lt;/b&gt;" in desk.page
    assert 'href="javascript' not in desk.page
    assert Reader(desk.page).named("img") == []


def test_the_page_says_what_may_load_and_what_may_not_be_kept(make_desk):
    headers = make_desk().client.get("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"


def test_files_are_kept_under_the_name_of_their_content_alone(make_desk):
    desk = make_desk()
    [address] = re.findall(r'href="(/static/style\.css\?\w+)"', desk.page)
    assert "immutable" in desk.client.get(address).headers["cache-control"]
    for other in ("/static/style.css", "/static/style.css?0123456789ab", "/static/outbox.js"):
        answered = desk.client.get(other)
        assert answered.headers["cache-control"] == "no-cache"
    again = desk.client.get("/static/outbox.js", headers={"If-None-Match": answered.headers["etag"]})
    assert again.status_code == 304


def test_every_module_that_a_script_imports_is_there():
    for script in STATIC.glob("*.js"):
        for imported in re.findall(r'from "\./([\w-]+\.js)"', script.read_text()):
            assert (STATIC / imported).is_file(), f"{script.name} imports {imported}"


def test_scripts_build_no_html_from_words():
    for script in STATIC.glob("*.js"):
        code = script.read_text()
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "http://",
            "https://",
        ):
            assert forbidden not in code.replace("http://www.w3.org/2000/svg", ""), f"{script.name} uses {forbidden}"


def test_the_first_visit_weighs_little(make_desk):
    # All of it, as it goes over the wire: with 77 labels, less than a third of the 150 kB that we allow ourselves.
    texts = [f"{'a text of some length ' * 20}{number}" for number in range(20)]
    desk = make_desk(texts, [f"label {n}" for n in range(77)])
    scripts = [f"/static/{script.name}" for script in STATIC.glob("*.js")]
    addresses = ["/", *re.findall(r'(?:href|src)="(/static/[^"]+)"', desk.page), *scripts]
    weight = 0
    for address in addresses:
        with desk.client.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answered:
            assert answered.status_code == 200
            weight += len(b"".join(answered.iter_raw()))
    assert weight < 50_000


def test_pages_that_are_not_there_say_so_in_words(make_desk):
    missing = make_desk().client.get("/nowhere")
    assert missing.status_code == 404
    assert '<p role="alert">Not Found</p>' in missing.text
    assert "Back to labelling" in missing.text


def test_the_texts_in_the_page_are_sound_json(make_desk):
    desk = make_desk(['{"a": "\\u0041"}', "</script>", "\\", "'\"`"])
    again = json.loads(json.dumps(desk.boot))
    assert {item["text"] for item in again["items"]} == {'{"a": "\\u0041"}', "</script>", "\\", "'\"`"}
