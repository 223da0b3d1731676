import json

import pytest

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.session.exchange.forms import read_items, write_items
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem, ExchangedSuggestion

NESTED = {
    "id": "ext-1",
    "fields": {"text": "hi"},
    "metadata": {"k": "v", "n": 3},
    "vectors": {"emb": [0.1]},
    "suggestions": {"label": {"value": "pos", "score": 0.9, "agent": "model"}},
    "responses": {"label": [{"value": "pos", "user_id": "u1"}]},
    "_server_id": "uuid",
}
FLAT = {
    "id": "ext-1",
    "status": "completed",
    "_server_id": "uuid",
    "text": "hi",
    "k": "v",
    "n": 3,
    "emb": [0.1],
    "label.suggestion": "pos",
    "label.suggestion.score": 0.9,
    "label.suggestion.agent": "model",
    "label.responses": ["pos"],
    "label.responses.users": ["u1"],
    "label.responses.status": ["submitted"],
}
ITEM = ExchangedItem(
    "ext-1",
    "hi",
    meta={"k": "v", "n": "3"},
    label="pos",
    answers=(ExchangedAnswer("u1", AnswerKind.LABEL, "pos"),),
    suggestion=ExchangedSuggestion("pos", 0.9, "model"),
)


def read(tmp_path, records, name="records.json", **options):
    path = tmp_path / name
    lines = name.endswith(".jsonl")
    path.write_text("\n".join(map(json.dumps, records)) if lines else json.dumps(records), encoding="utf-8")
    return read_items(path, **options)


@pytest.mark.parametrize("record", [NESTED, FLAT])
@pytest.mark.parametrize("name", ["records.json", "records.jsonl"])
def test_a_record(tmp_path, record, name):
    imported = read(tmp_path, [record], name)
    assert imported.items == (ITEM,)
    assert (imported.form, imported.label_names) == ("argilla", ("pos",))


def test_vectors_are_told(tmp_path):
    assert "1 vectors are left out" in read(tmp_path, [FLAT]).notes


def test_one_object_over_several_lines(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(NESTED, indent=2))
    assert read_items(tmp_path / "a.json").items == (ITEM,)


def responses(*given):
    """A flat record whose responses have these values and statuses."""
    return {
        "text": "hi",
        "label.responses": [value for value, _ in given],
        "label.responses.users": [f"u{number}" for number in range(len(given))],
        "label.responses.status": [status for _, status in given],
    }


def test_statuses(tmp_path):
    record = responses(("pos", "submitted"), (None, "discarded"), ("neg", "discarded"), ("neg", "draft"))
    imported = read(tmp_path, [record])
    [item] = imported.items
    assert item.label == "pos"
    assert item.answers == (
        ExchangedAnswer("u0", AnswerKind.LABEL, "pos"),
        ExchangedAnswer("u1", AnswerKind.SKIP),
        ExchangedAnswer("u2", AnswerKind.SKIP),
    )
    assert "1 draft responses are left out" in imported.notes


def test_disagreement(tmp_path):
    imported = read(tmp_path, [responses(("pos", "submitted"), ("neg", "submitted"))])
    assert imported.items[0].label is None
    assert "annotators disagree on 1 of 1 texts, which have no label" in imported.notes


def test_responses_of_nobody(tmp_path):
    imported = read(tmp_path, [{"text": "hi", "label.responses": ["pos"]}])
    assert imported.items[0].answers[0].annotator == "unknown"
    assert "1 responses name no user; they are put down to 'unknown'" in imported.notes


def test_pairs_and_names(tmp_path):
    record = {"fields": {"q": "who?", "a": "me"}, "suggestions": {"x": {"value": "b"}, "y": {"value": "c"}}}
    with pytest.raises(InvalidData, match="several questions: 'x', 'y'"):
        read(tmp_path, [record], text_column="q")
    [item] = read(tmp_path, [record], text_column="q", pair_column="a", label_column="y").items
    assert (item.text, item.pair, item.suggestion) == ("who?", "me", ExchangedSuggestion("c"))
    with pytest.raises(InvalidData, match="no question 'z'"):
        read(tmp_path, [record], text_column="q", label_column="z")


@pytest.mark.parametrize(
    "records, message",
    [
        ([NESTED, 3], "record 2 should be an object, found 3"),
        ([NESTED, {"text": "a"}], 'record 2 has no "fields"'),
        ([NESTED, {"fields": "a"}], "record 2: 'fields' should be an object"),
        ([NESTED, {"fields": {}}], "record 2 has no text in 'text'"),
        ([NESTED | {"metadata": 1}], "record 1: 'metadata' should be an object"),
        ([NESTED | {"responses": {"label": {}}}], "record 1: 'label' should be an array"),
        ([NESTED | {"responses": {"label": [{"value": ["a", "b"]}]}}], "record 1: a response has 2 values"),
        ([NESTED | {"responses": {"label": [{"value": {}}]}}], "record 1: 'value' should be a string"),
        ([NESTED | {"suggestions": {"label": {"value": ["a", "b"]}}}], "record 1: a suggestion has 2 values"),
        ([FLAT | {"label.responses": "pos"}], r"record 1: 'label.responses' should be an array"),
        ([FLAT | {"label.responses.users": []}], None),
        ([FLAT | {"label.responses.users": ["a", "b"]}], "has 1 entries, 'label.responses.users' 2"),
        ([FLAT | {"label.responses.status": ["pending"]}], "'status' should be submitted, discarded or draft"),
        ([FLAT | {"nearmiss_all_answers": "nonsense"}], "nearmiss_all_answers: not valid JSON"),
    ],
)
def test_bad_records(tmp_path, records, message):
    if message is None:
        assert read(tmp_path, records).items[0].answers[0].annotator == "unknown"
        return
    with pytest.raises(InvalidData, match=message) as error:
        read(tmp_path, records)
    assert str(tmp_path / "records.json") in str(error.value)


SAID = (
    ExchangedAnswer("u1", AnswerKind.LABEL, "pos", "2026-11-23T12:37:59Z", 2.5),
    ExchangedAnswer("u2", AnswerKind.SKIP),
)


def test_what_is_written(tmp_path):
    item = ExchangedItem(
        "7", "hi", None, {"k": "v"}, "pos", SAID, ExchangedSuggestion("neg", 0.9, "m"), {"source": "x"}
    )
    for name in ("a.json", "a.jsonl"):
        write_items([item], tmp_path / name, form="argilla", question="tone", label_names=["pos", "neg"])
        assert read_items(tmp_path / name).items == (item,)
    [nested] = json.loads((tmp_path / "a.json").read_text())
    assert nested.pop("metadata").keys() == {"k", "nearmiss_source", "nearmiss_all_answers"}
    assert nested == {
        "id": "7",
        "fields": {"text": "hi"},
        "vectors": {},
        "suggestions": {"tone": {"value": "neg", "score": 0.9, "agent": "m"}},
        "responses": {"tone": [{"value": "pos", "user_id": "u1", "status": "submitted"}]},
    }
    flat = json.loads((tmp_path / "a.jsonl").read_text())
    assert flat.pop("nearmiss_all_answers")
    assert flat == {
        "id": "7",
        "text": "hi",
        "k": "v",
        "nearmiss_source": "x",
        "tone.suggestion": "neg",
        "tone.suggestion.score": 0.9,
        "tone.suggestion.agent": "m",
        "tone.responses": ["pos"],
        "tone.responses.users": ["u1"],
        "tone.responses.status": ["submitted"],
    }


def test_what_was_said_in_argilla_since_then_counts(tmp_path):
    write_items([ExchangedItem("7", "hi", answers=SAID)], tmp_path / "a.json", form="argilla", label_names=["pos"])
    [record] = json.loads((tmp_path / "a.json").read_text())
    record["responses"] = {"label": [{"value": "neg", "user_id": "u1"}, {"value": "neg", "user_id": "u3"}]}
    [item] = read(tmp_path, [record]).items
    assert item.label == "neg"
    assert item.answers == (
        SAID[1],
        ExchangedAnswer("u1", AnswerKind.LABEL, "neg"),
        ExchangedAnswer("u3", AnswerKind.LABEL, "neg"),
    )


def test_questions_without_dots(tmp_path):
    with pytest.raises(InvalidInput, match="without dots"):
        write_items([ITEM], tmp_path / "a.json", form="argilla", question="a.b", label_names=())
