"""Out of one project and into another: labels, answers and notes arrive, once."""

from __future__ import annotations

import pytest

from nearmiss.errors import InvalidInput
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.forms import read_items
from nearmiss.session.exchange.imported import ImportedItems
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem
from nearmiss.session.items import NewItem
from nearmiss.session.origins import Source
from nearmiss.session.training import Trainer
from nearmiss.session.transfer import export_items, import_items, write_export

TABLES = ("answer", "decision", "label", "item")


def imported(items, names=()):
    return ImportedItems(tuple(items), tuple(names), (), "test")


def said(project):
    """Everything people say, by the names of texts, labels and people."""
    names = {label.id: label.name for label in project.labels.every()}
    return {
        (project.texts.get(item).ref, answer.person): (
            answer.kind,
            names.get(answer.label),
            answer.note,
            answer.seconds,
        )
        for item in range(1, project.texts.count() + 1)
        for answer in project.answers.of_item(item)
    }


def decided(project):
    names = {label.id: label.name for label in project.labels.every()}
    found = [project.browser.find(item) for item in range(1, project.texts.count() + 1)]
    return {each.item.ref: (names.get(each.label), each.disputed) for each in found}


@pytest.fixture
def busy(make_project):
    """Labels of three people, a dispute, a skip, a doubt, notes, and labels with odd names."""
    project = make_project(
        [NewItem(f"text {i}, odd \t '=1+1'", ref=f"r{i}", meta={"year": str(i)}) for i in range(8)],
        labels=("=1+1", "the rest", "gone"),
    )

    def say(person, item, kind, label=None, note="", seconds=None):
        project.answers.submit(person, Submission(item, kind, label, note=note, seconds=seconds))

    say("ann", 1, AnswerKind.LABEL, 1, 'surely, "so"\nto say', 2.5)
    say("bob", 1, AnswerKind.LABEL, 1)
    say("ann", 2, AnswerKind.LABEL, 1)
    say("bob", 2, AnswerKind.LABEL, 2, "no!")
    say("ann", 3, AnswerKind.SKIP, note="later")
    say("cyd", 4, AnswerKind.UNSURE)
    say("cyd", 5, AnswerKind.LABEL, 2)
    return project


def test_everything_arrives_in_another_project(busy, make_project):
    other = make_project(texts=[], labels=())
    report = import_items(other, imported(export_items(busy), ["=1+1", "the rest"]))
    assert (report.added, report.known, report.labeled) == (5, 0, 7)
    assert report.new_labels == ("=1+1", "the rest")
    assert said(other) == said(busy)
    assert decided(other) == {ref: held for ref, held in decided(busy).items() if ref in {f"r{i}" for i in range(5)}}
    assert other.texts.named("r0").meta == {"year": "0"}


def test_the_same_twice_changes_nothing(busy, make_project, dump):
    other = make_project(texts=[], labels=())
    items = imported(export_items(busy, everything=True), ["=1+1", "the rest"])
    import_items(other, items)
    before = dump(other, *TABLES)
    report = import_items(other, items)
    assert (report.added, report.known, report.labeled, report.new_labels) == (0, 8, 0, ())
    assert dump(other, *TABLES) == before


def test_a_project_takes_back_its_own_export_unchanged(busy, dump):
    wood = busy.labels.add("ann", "wood").id
    busy.answers.submit("ann", Submission(6, AnswerKind.LABEL, wood))
    busy.labels.merge("ann", wood, 2)
    busy.answers.submit("ann", Submission(7, AnswerKind.LABEL, 3))
    busy.labels.retire("ann", 3)
    busy.labels.change("ann", 1, {"name": "renamed"})
    before = dump(busy, *TABLES)
    report = import_items(
        busy, imported(export_items(busy, everything=True), [each.name for each in busy.labels.offered()])
    )
    assert (report.added, report.labeled, report.new_labels) == (0, 0, ())
    assert dump(busy, *TABLES) == before


def test_merged_and_retired_labels_leave_under_the_name_that_stands(busy):
    busy.labels.merge("ann", 1, 2)
    items = {item.ref: item for item in export_items(busy)}
    assert items["r0"].label == "the rest"
    assert {answer.label for answer in items["r0"].answers} == {"the rest"}
    busy.labels.retire("ann", 2)
    for item in export_items(busy):
        assert item.label is None
        assert all(answer.label is None or answer.label in {"gone"} for answer in item.answers)
        assert all((answer.kind is AnswerKind.LABEL) == (answer.label is not None) for answer in item.answers)


@pytest.mark.parametrize("form, name", [("label-studio", "out.json"), ("argilla", "out.json"), (None, "out.jsonl")])
def test_what_is_written_to_a_file_comes_back(busy, make_project, tmp_path, dump, form, name):
    path = tmp_path / name
    assert write_export(busy, path, form) == 5
    other = make_project(texts=[], labels=())
    import_items(other, read_items(path), person="me")
    held = {ref: label for ref, (label, disputed) in decided(busy).items() if label is not None}
    assert {text_of(other, ref): label for ref, (label, _) in decided(other).items() if label is not None} == {
        text_of(busy, ref): label for ref, label in held.items()
    }
    before = dump(other, *TABLES)
    import_items(other, read_items(path), person="me")
    assert dump(other, *TABLES) == before


def text_of(project, ref):
    return project.texts.named(ref).text


def test_labels_nobody_declared_are_added(make_project):
    project = make_project(texts=[], labels=("a",))
    items = [
        ExchangedItem("1", "one", answers=(ExchangedAnswer("z", AnswerKind.LABEL, "new"),)),
        ExchangedItem("2", "two", label="newer"),
        ExchangedItem("3", "three", label="a"),
    ]
    report = import_items(project, imported(items, ["a"]), person="me")
    assert set(report.new_labels) == {"new", "newer"}
    assert said(project) == {
        ("1", "z"): (AnswerKind.LABEL, "new", "", None),
        ("2", "me"): (AnswerKind.LABEL, "newer", "", None),
        ("3", "me"): (AnswerKind.LABEL, "a", "", None),
    }
    assert project.answers.provenance(1)[0].origin.source is Source.IMPORT


def test_an_import_is_all_or_nothing(make_project, dump):
    project = make_project(labels=("a",))
    before = dump(project, *TABLES, "event")
    items = [ExchangedItem("x", "fine", label="b"), ExchangedItem("y", " ", label="a")]
    with pytest.raises(InvalidInput, match="empty"):
        import_items(project, imported(items, ["b"]))
    long = [ExchangedItem("x", "fine", answers=(ExchangedAnswer("z", AnswerKind.SKIP, note="n" * 20_000),))]
    with pytest.raises(InvalidInput, match="note"):
        import_items(project, imported(long))
    assert dump(project, *TABLES, "event") == before


def test_a_changed_answer_replaces_the_one_before(make_project):
    project = make_project(texts=["one"], labels=("a", "b"))
    for label in ("a", "b"):
        items = [ExchangedItem("1", "one", answers=(ExchangedAnswer("z", AnswerKind.LABEL, label),))]
        assert import_items(project, imported(items, ["a", "b"])).labeled == 1
    assert said(project) == {("1", "z"): (AnswerKind.LABEL, "b", "", None)}


def test_an_import_is_undone_as_one(make_project):
    project = make_project(texts=[], labels=("a",))
    import_items(project, imported([ExchangedItem(None, f"text {i}", label="a") for i in range(5)]), person="me")
    assert len(project.answers.undo("me").items) == 5
    assert said(project) == {}


def test_an_export_tells_how_each_label_was_come_by(make_project):
    project = make_project(24, classifier="tfidf", batch=4, audit_share=0.0)
    project.settings.write_guidelines("ann", "Be fair.")
    project.tell_all({1: 1, 2: 2, 3: 1, 4: 2}, person="ann")
    Trainer(project).step()
    [pick] = project.queue.next("bob", 1)
    project.answers.submit("bob", Submission(pick.item.id, AnswerKind.LABEL, 1, seconds=3.0, suggestion_visible=True))
    items = {item.ref: item for item in export_items(project, everything=True)}
    assert len(items) == 24
    told = items[pick.item.ref].provenance
    assert (told["annotator"], told["source"], told["strategy"], told["model_version"]) == (
        "bob",
        "model",
        "diverse-margin",
        1,
    )
    assert (told["guideline_version"], told["suggestion_visible"], told["seconds"]) == (1, True, 3.0)
    assert set(str(told["neighbors"]).split()) == {"1", "2", "3", "4"}
    assert items["1"].provenance["source"] == "import"
    assert items["20"].suggestion.agent == "tfidf 1"
    assert len(export_items(project)) == 5
