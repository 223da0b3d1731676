import json
import xml.etree.ElementTree as ElementTree

import pytest

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.session.exchange.forms import read_items, write_items
from nearmiss.session.exchange.label_studio_export import label_studio_config
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem, ExchangedSuggestion


def chosen(*labels, name="intent", **more):
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(labels)}, **more}


def annotation(*labels, by=1, **more):
    return {"completed_by": by, "result": [chosen(*labels)] if labels else [], **more}


def read(tmp_path, content, name="tasks.json", **options):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_items(path, **options)


def task(*annotations, text="hi", **more):
    return {"data": {"text": text}, "annotations": list(annotations), **more}


EXPORT = [
    {
        "id": 1,
        "inner_id": 1,
        "data": {"text": "my card is gone", "ref": 0, "year": 1999},
        "meta": {},
        "predictions": [],
        "project": 1,
        "annotations": [
            {
                "id": 1,
                "completed_by": 1,
                "result": [{"id": "r1", **chosen("lost_card")}],
                "was_cancelled": False,
                "ground_truth": False,
                "lead_time": 3.2,
                "created_at": "2026-11-23T12:37:59.842265Z",
                "updated_at": "2026-11-23T12:37:59.842265Z",
            }
        ],
        "total_annotations": 1,
        "cancelled_annotations": 0,
    }
]


def test_an_export(tmp_path):
    imported = read(tmp_path, EXPORT)
    answer = ExchangedAnswer("1", AnswerKind.LABEL, "lost_card", "2026-11-23T12:37:59.842265Z", 3.2)
    assert imported.items == (
        ExchangedItem("0", "my card is gone", meta={"year": "1999"}, label="lost_card", answers=(answer,)),
    )
    assert (imported.form, imported.label_names) == ("label-studio", ("lost_card",))
    assert imported.notes == ("text column: 'text' (guessed)",)


def test_tasks_without_names_go_by_their_number(tmp_path):
    assert read(tmp_path, [task(id=7)]).items[0].ref == "7"
    assert read(tmp_path, [task()]).items[0].ref is None


def test_predictions_are_suggestions(tmp_path):
    result = {"model_version": "m1", "score": 0.62, "result": [chosen("lost_card")]}
    [item] = read(tmp_path, [{"data": {"text": "hi"}, "predictions": [result]}]).items
    assert (item.label, item.answers) == (None, ())
    assert item.suggestion == ExchangedSuggestion("lost_card", 0.62, "m1")


def test_the_score_of_the_result_is_the_models_own(tmp_path):
    result = {"model_version": "m1", "score": 0.01, "result": [chosen("a", score=0.9)]}
    assert read(tmp_path, [task(predictions=[result])]).items[0].suggestion.probability == 0.9
    result = {"score": 17, "result": [chosen("a")]}
    assert read(tmp_path, [task(predictions=[result])]).items[0].suggestion == ExchangedSuggestion("a")


def test_of_several_predictions_the_last_counts(tmp_path):
    imported = read(tmp_path, [task(predictions=[{"result": [chosen("a")]}, {"result": [chosen("b")]}])])
    assert imported.items[0].suggestion.label == "b"
    assert "1 of 1 tasks have several predictions; the last one counts" in imported.notes


def test_skips_and_doubts(tmp_path):
    [item] = read(tmp_path, [task(annotation(was_cancelled=True), annotation(by=2), annotation("a", by=3))]).items
    assert [answer.kind for answer in item.answers] == [AnswerKind.SKIP, AnswerKind.UNSURE, AnswerKind.LABEL]
    assert item.label == "a"


def test_a_skip_with_a_choice_is_a_skip(tmp_path):
    [item] = read(tmp_path, [task(annotation("a", was_cancelled=True))]).items
    assert (item.label, item.answers) == (None, (ExchangedAnswer("1", AnswerKind.SKIP),))


def test_annotators_agree_or_not(tmp_path):
    agreeing = task(annotation("a"), annotation("a", by=2))
    differing = task(annotation("a"), annotation("b", by=2))
    settled = task(annotation("a"), annotation("b", by=2, ground_truth=True))
    imported = read(tmp_path, [agreeing, differing, settled])
    assert [item.label for item in imported.items] == ["a", None, "b"]
    assert "annotators disagree on 1 of 3 texts, which have no label" in imported.notes


def test_annotators_by_number_address_or_name(tmp_path):
    people = [7, {"id": 3, "email": "ann@example.org"}, {"id": 3}, "bob"]
    [item] = read(tmp_path, [task(*(annotation("a", by=person) for person in people))]).items
    assert [answer.annotator for answer in item.answers] == ["7", "ann@example.org", "3", "bob"]


def test_a_label_nobody_is_said_to_have_given(tmp_path):
    [item] = read(tmp_path, [task(annotation("a", by=None))]).items
    assert (item.label, item.answers) == ("a", ())


def test_remarks_beside_the_choice(tmp_path):
    remark = {"from_name": "why", "to_name": "text", "type": "textarea", "value": {"text": ["odd", "one"]}}
    [item] = read(tmp_path, [task({"completed_by": 1, "result": [chosen("a"), remark]})]).items
    assert (item.label, item.answers[0].note) == ("a", "odd\none")


def test_other_results_are_left_out_and_told(tmp_path):
    rating = {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": 3}}
    imported = read(tmp_path, [task({"completed_by": 1, "result": [chosen("a"), rating]})])
    assert imported.items[0].label == "a"
    assert "1 results of type 'rating' are left out" in imported.notes


def test_several_questions_need_a_name(tmp_path):
    content = [task({"completed_by": 1, "result": [chosen("a"), chosen("x", name="tone")]})]
    with pytest.raises(InvalidData, match=r"several questions: 'intent', 'tone'; .*--label-column"):
        read(tmp_path, content)
    assert read(tmp_path, content, label_column="tone").items[0].label == "x"
    with pytest.raises(InvalidData, match="no choices named 'mood'"):
        read(tmp_path, content, label_column="mood")


def test_several_choices_are_refused(tmp_path):
    with pytest.raises(InvalidData, match=r"task 2 has 2 choices \('a', 'b'\) in one annotation"):
        read(tmp_path, [task(annotation("a")), task(annotation("a", "b"))])


def test_pairs(tmp_path):
    content = [{"data": {"q": "who?", "a": "me", "text": "other"}, "annotations": [annotation("a")]}]
    [item] = read(tmp_path, content, text_column="q", pair_column="a").items
    assert (item.text, item.pair, item.meta) == ("who?", "me", {"text": "other"})
    [item] = read(tmp_path, [{"data": {"premise": "it rains", "hypothesis": "it is wet"}}]).items
    assert (item.text, item.pair) == ("it rains", "it is wet")


def test_flat_tasks(tmp_path):
    content = [{"text": "hi", "ref": 0}, {"text": "ho", "ref": 1}]
    imported = read(tmp_path, content)
    assert (imported.form, imported.items[1].text) == ("json", "ho")
    assert read(tmp_path, content, form="label-studio").items == (ExchangedItem("0", "hi"), ExchangedItem("1", "ho"))


def test_tasks_without_text(tmp_path):
    content = [task(), task(text=" ")]
    with pytest.raises(InvalidData, match="task 2 has no text in 'text'; fill it"):
        read(tmp_path, content)
    imported = read(tmp_path, content, on_missing="drop")
    assert len(imported.items) == 1
    assert "1 of 2 records have no text and are left out" in imported.notes
    with pytest.raises(InvalidData, match="no record has text"):
        read(tmp_path, [task(text="")], on_missing="drop")


ROWS = [
    {"text": "hi", "ref": 0, "id": 1, "intent": "a", "annotator": 7, "annotation_id": 1, "lead_time": 2.5}
    | {"created_at": "2026-11-23T12:37:59.842265Z", "updated_at": "2026-11-23T12:37:59.842265Z"},
    {"text": "hi", "ref": 0, "id": 1, "intent": "b", "annotator": 8, "annotation_id": 2, "lead_time": 1},
    {"text": "ho", "ref": 1, "id": 2, "annotator": 7, "annotation_id": 3, "lead_time": 4},
]


def check_rows(imported):
    first, second = imported.items
    assert imported.form == "label-studio"
    assert (first.ref, first.text, first.label, first.meta) == ("0", "hi", None, {})
    assert first.answers == (
        ExchangedAnswer("7", AnswerKind.LABEL, "a", "2026-11-23T12:37:59.842265Z", 2.5),
        ExchangedAnswer("8", AnswerKind.LABEL, "b", None, 1.0),
    )
    assert second.answers == (ExchangedAnswer("7", AnswerKind.UNSURE, None, None, 4.0),)
    assert imported.notes[-2:] == (
        "label column: 'intent' (guessed)",
        "annotators disagree on 1 of 2 texts, which have no label",
    )


def test_json_min(tmp_path):
    check_rows(read(tmp_path, ROWS))
    check_rows(read(tmp_path, ROWS, form="label-studio"))


def test_csv_export(tmp_path):
    names = ["text", "ref", "id", "intent", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"]
    lines = [",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in ROWS)]
    check_rows(read(tmp_path, "\n".join(lines), name="export.csv"))


@pytest.mark.parametrize("label", [{"choices": ["a", "b"]}, ["a", "b"], '{"choices": ["a", "b"]}'])
def test_several_choices_in_a_row_are_refused(tmp_path, label):
    with pytest.raises(InvalidData, match=r"row 1 has 2 choices \('a', 'b'\)"):
        read(tmp_path, [ROWS[0] | {"intent": label}])


def test_rows_with_several_questions(tmp_path):
    row = {"text": "hi", "id": 1, "intent": "a", "tone": "x", "annotator": 7, "annotation_id": 1, "lead_time": 2.5}
    with pytest.raises(InvalidData, match="'intent', 'tone' could each hold the labels"):
        read(tmp_path, [row])
    item = read(tmp_path, [row], label_column="tone").items[0]
    assert (item.label, item.meta) == ("x", {"intent": "a"})
    with pytest.raises(InvalidData, match="has no column 'mood'"):
        read(tmp_path, [row], label_column="mood")


def test_rows_of_one_task_have_one_text(tmp_path):
    with pytest.raises(InvalidData, match="row 1: other rows with its id have another text"):
        read(tmp_path, [ROWS[0], ROWS[1] | {"text": "other"}])


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "holds no records|is empty"),
        ("[]", "holds no records"),
        ("[1, 2]", "task 1 should be an object, found 1"),
        ('[{"data": {"text": "hi"}}', "not valid JSON"),
        ([task(), 5], "task 2 should be an object, found 5"),
        ([task(), {"text": "hi"}], 'task 2 has no "data"'),
        ([task(), {"data": "hi"}], "task 2: 'data' should be an object, found 'hi'"),
        ([task(annotations={})], "task 1: 'annotations' should be an array"),
        ([task(7)], "task 1: 'annotations 1' should be an object, found 7"),
        ([task({"completed_by": 1, "result": "a"})], "task 1: 'result' should be an array"),
        ([task({"completed_by": [1], "result": []})], "task 1: 'completed_by' should be a string"),
        ([task(annotation(chosen()))], "task 1: a choice should be a string"),
        ([task({"result": [{"type": "choices", "value": "a"}]})], "task 1: 'value' should be an object, found 'a'"),
        ([task(annotation(was_cancelled="no"))], "task 1: 'was_cancelled' should be true or false"),
        ([task(annotation(lead_time="long"))], "task 1: 'lead_time' should be a number"),
        ([task(annotation(lead_time=-1))], "task 1: 'lead_time' should be a number of seconds from 0"),
        ('[{"data": {"text": "\\ud83d"}}]', r"record 1 holds \\ud83d, half of a character"),
        ("[" * 100_000, "JSON that cannot be read"),
        ([{"data": {"n": 1}}], "no column of texts"),
    ],
)
def test_bad_files(tmp_path, content, message):
    with pytest.raises(InvalidData, match=message) as error:
        read(tmp_path, content, form="label-studio")
    assert str(tmp_path / "tasks.json") in str(error.value)


def test_other_suffixes_are_no_label_studio(tmp_path):
    with pytest.raises(InvalidData, match=r"ends in \.json"):
        read(tmp_path, "text\nhi\n", name="a.tsv", form="label-studio")


def test_what_is_written(tmp_path):
    item = ExchangedItem(
        "7",
        "hi",
        "there",
        {"year": "1999"},
        "a",
        (
            ExchangedAnswer("3", AnswerKind.LABEL, "a", "2026-11-23T12:37:59Z", 3.2, "odd"),
            ExchangedAnswer("ann@example.org", AnswerKind.SKIP),
            ExchangedAnswer("bob", AnswerKind.UNSURE),
        ),
        ExchangedSuggestion("b", 0.9, "m1"),
        {"source": "audit"},
    )
    write_items([item], tmp_path / "a.json", form="label-studio", question="intent", label_names=["a", "b"])
    first, second, third = json.loads((tmp_path / "a.json").read_text())[0].pop("annotations")
    [written] = json.loads((tmp_path / "a.json").read_text())
    del written["annotations"]
    assert written == {
        "data": {"text": "hi", "text_pair": "there", "ref": "7", "year": "1999"},
        "predictions": [{"model_version": "m1", "score": 0.9, "result": [chosen("b", score=0.9)]}],
        "meta": {"nearmiss": {"source": "audit"}},
    }
    flags = {"was_cancelled": False, "ground_truth": False}
    assert first == {"result": [chosen("a")], **flags, "completed_by": 3, "lead_time": 3.2} | {
        "created_at": "2026-11-23T12:37:59Z",
        "nearmiss_note": "odd",
    }
    assert second == {"result": [], **flags, "was_cancelled": True, "completed_by": {"email": "ann@example.org"}}
    assert third == {"result": [], **flags, "nearmiss_annotator": "bob"}


def test_a_label_the_answers_do_not_settle_is_the_ground_truth(tmp_path):
    said = (ExchangedAnswer("1", AnswerKind.LABEL, "a"), ExchangedAnswer("2", AnswerKind.LABEL, "b"))
    items = [ExchangedItem("1", "x", label="b", answers=said), ExchangedItem("2", "y", label="a")]
    write_items(items, tmp_path / "a.json", form="label-studio", label_names=["a", "b"])
    written = json.loads((tmp_path / "a.json").read_text())
    assert [[said["ground_truth"] for said in task["annotations"]] for task in written] == [[False, True], [True]]
    assert read_items(tmp_path / "a.json").items == tuple(items)


def test_the_interface_is_xml_whatever_the_labels():
    names = ['R&D "new" <x>', "a'b", "two\nlines", "é"]
    root = ElementTree.fromstring(label_studio_config(names, True, question="what & why"))
    assert [choice.get("value") for choice in root.iter("Choice")] == names
    assert [(text.get("name"), text.get("value")) for text in root.iter("Text")] == [
        ("text", "$text"),
        ("text_pair", "$text_pair"),
    ]
    [choices] = root.iter("Choices")
    assert (choices.get("name"), choices.get("toName"), choices.get("choice")) == ("what & why", "text", "single")


def test_the_interface_needs_labels_that_xml_can_hold():
    with pytest.raises(InvalidInput, match="at least one label"):
        label_studio_config([])
    with pytest.raises(InvalidInput, match="XML cannot"):
        label_studio_config(["a\0"])
