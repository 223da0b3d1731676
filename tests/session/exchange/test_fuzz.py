"""Whatever a file holds, reading it gives items or an error that a user can mend."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearmiss.errors import NearmissError
from nearmiss.session.exchange.forms import read_items

NAMES = """
    data text text_pair annotations predictions result value choices type from_name completed_by email id ref meta
    was_cancelled ground_truth lead_time created_at score nearmiss fields metadata suggestions responses label status
    user_id label.suggestion label.suggestion.score label.responses label.responses.users label.responses.status
    annotator annotation_id nearmiss_answers nearmiss_all_answers nearmiss_x nearmiss_x.json nearmiss_suggestion
"""
KEYS = st.sampled_from(NAMES.split())
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["choices", "textarea", "2026-11-23T12:37:59Z", "0001-01-01T00:00:00+23:00", "[]", "{}", "[{}]"]),
    st.sampled_from(
        ["submitted", "draft", "discarded", "label", "skip", '[{"annotator": 1, "kind": "skip"}]', "\ud800"]
    ),
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5)
)


def choices(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("choices") | inner,
            "from_name": st.just("a") | inner,
            "value": st.fixed_dictionaries({"choices": st.lists(st.sampled_from("ab"), max_size=2)}) | inner,
            "score": st.floats(0, 1) | inner,
        },
    )


SAID = st.fixed_dictionaries(
    {"result": st.lists(choices(SCALARS), max_size=2) | SCALARS},
    optional={
        "completed_by": SCALARS | st.fixed_dictionaries({"email": SCALARS}),
        "was_cancelled": st.booleans() | SCALARS,
        "ground_truth": st.booleans(),
        "lead_time": SCALARS,
        "created_at": SCALARS,
    },
)
TASK = st.fixed_dictionaries(
    {"data": st.fixed_dictionaries({"text": st.just("hi") | SCALARS}, optional={"ref": SCALARS, "id": SCALARS})},
    optional={
        "annotations": st.lists(SAID, max_size=2) | SCALARS,
        "predictions": st.lists(SAID, max_size=2),
        "meta": st.fixed_dictionaries({"nearmiss": st.dictionaries(KEYS, ANYTHING, max_size=2) | SCALARS}) | SCALARS,
        "id": SCALARS,
    },
)
ANSWERS = st.lists(SCALARS, max_size=2)
RECORD = st.fixed_dictionaries(
    {"text": st.just("hi") | SCALARS},
    optional={
        "label.suggestion": SCALARS | ANSWERS,
        "label.suggestion.score": SCALARS | ANSWERS,
        "label.responses": ANSWERS | SCALARS,
        "label.responses.users": ANSWERS | SCALARS,
        "label.responses.status": ANSWERS | SCALARS,
        "nearmiss_all_answers": SCALARS,
        "nearmiss_label": SCALARS,
        "n": ANSWERS,
    },
)
ROW = st.fixed_dictionaries(
    {"text": st.just("hi"), "id": SCALARS, "annotator": SCALARS, "annotation_id": SCALARS, "lead_time": SCALARS},
    optional={"a": SCALARS | ANSWERS, "created_at": SCALARS},
)
OURS = st.fixed_dictionaries(
    {"id": SCALARS, "text": st.just("hi") | SCALARS, "label": SCALARS, "nearmiss_answers": SCALARS},
    optional={"nearmiss_x": SCALARS, "nearmiss_x.json": SCALARS, "nearmiss_suggestion": SCALARS, "meta.x.": ANYTHING},
)
SHAPES = {"any": ANYTHING, "task": TASK, "record": RECORD, "row": ROW, "ours": OURS}


def read_or_complain(path, **options):
    try:
        return read_items(path, **options), ""
    except NearmissError as error:
        return None, str(error)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@given(data=st.data(), form=st.sampled_from([None, "label-studio", "argilla", "jsonl"]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_random_json(tmp_path, shape, name, data, form):
    records = data.draw(st.lists(SHAPES[shape], min_size=1, max_size=3))
    on_missing = data.draw(st.sampled_from(["error", "drop"]))
    written = json.dumps(records) if name == "a.json" else "\n".join(map(json.dumps, records))
    (tmp_path / name).write_text(written)
    imported, complaint = read_or_complain(tmp_path / name, form=form, on_missing=on_missing)
    if imported is None:
        assert str(tmp_path / name) in complaint
    else:
        assert all(item.text.strip() for item in imported.items)
        assert {item.label for item in imported.items} - {None} <= set(imported.label_names)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.arrow", "a.txt"])
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes(tmp_path, name, content):
    for beginning in (b"", b"text,nearmiss_answers\n", b'{"data": {"text": '):
        (tmp_path / name).write_bytes(beginning + content)
        for form in (None, "label-studio", "argilla"):
            imported, complaint = read_or_complain(tmp_path / name, form=form)
            assert imported is not None or name in complaint
