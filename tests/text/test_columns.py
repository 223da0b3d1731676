import pyarrow as pa
import pytest

from nearmiss.errors import InvalidData
from nearmiss.text.columns import ColumnNames, choose_columns

LONG = "a text of some length, as texts are"


def choose(columns, labels="optional", **named):
    return choose_columns(pa.table(columns), ColumnNames(**named), "f.csv", labels)


@pytest.mark.parametrize(
    ("names", "text", "pair"),
    [
        (["label", "text"], "text", None),
        (["Review ", "Rating"], "Review ", None),
        (["question1", "question2", "id"], "question1", "question2"),
        (["question", "sentence", "label"], "question", "sentence"),
        (["Premise", "Hypothesis"], "Premise", "Hypothesis"),
        (["sentence1", "sentence2"], "sentence1", "sentence2"),
        (["text_pair", "text"], "text", "text_pair"),
        (["title", "abstract"], "abstract", None),
        (["title", "text"], "text", None),
    ],
)
def test_well_known_names(names, text, pair):
    columns = choose({name: [LONG] for name in names})
    assert (columns.text, columns.pair) == (text, pair)
    assert f"text column: {text!r} (guessed)" in columns.notes


def test_without_a_known_name_the_clearly_longest_strings_win():
    columns = {"who": ["ann", "bob"], "said": [LONG, LONG], "when": ["2020-01-01"] * 2, "n": [1, 2]}
    assert choose(columns).text == "said"


def test_numbers_written_as_strings_are_no_texts():
    assert choose({"number": ["12345678901234567890", "1.5e300"], "word": ["ab", "cd"]}).text == "word"


def test_similar_lengths_are_a_question():
    with pytest.raises(InvalidData, match=r"'said', 'meant' could each hold the texts.*--text-column"):
        choose({"said": [LONG], "meant": [LONG[:-5]], "n": [1]})


def test_two_well_known_names_are_a_question():
    with pytest.raises(InvalidData, match="'review', 'comment' could each"):
        choose({"review": [LONG], "comment": [LONG]})


def test_no_texts_at_all():
    with pytest.raises(InvalidData, match=r"no column of texts among 'a', 'b'"):
        choose({"a": [1], "b": ["2.5"]})


def test_naming_the_text_turns_pair_guessing_off():
    assert choose({"question1": [LONG], "question2": [LONG]}, text="question1").pair is None


def test_naming_the_pair_leaves_the_text_to_a_guess():
    columns = choose({"text": [LONG], "other": [LONG]}, pair="other")
    assert (columns.text, columns.pair) == ("text", "other")


def test_named_columns_are_not_told_as_guesses():
    assert choose({"x": [LONG], "y": [0]}, text="x", label="y").notes == ()


def test_a_named_column_that_is_missing_or_holds_numbers():
    with pytest.raises(InvalidData, match="no column 'txet'; did you mean 'text'"):
        choose({"text": [LONG]}, text="txet")
    with pytest.raises(InvalidData, match="column 'n' holds int64, not text"):
        choose({"text": [LONG], "n": [1]}, text="n")


@pytest.mark.parametrize("name", ["label", "labels", "Class", "category", "intent", "target"])
def test_label_names(name):
    assert choose({"text": [LONG], name: [1]}).label == name


def test_label_goes_before_its_rivals():
    assert choose({"text": [LONG], "category": ["a"], "label": [1]}).label == "label"


def test_rival_labels_are_a_question_only_when_labels_are_needed():
    columns = {"text": [LONG], "category": ["a"], "topic": ["b"]}
    assert choose(columns).label is None
    with pytest.raises(InvalidData, match=r"'category', 'topic' could each hold the labels.*--label-column"):
        choose(columns, "required")


def test_the_only_other_column_is_the_label_when_one_is_needed():
    assert choose({"text": [LONG], "id": [7], "mood": ["a"]}, "some").label == "mood"
    assert choose({"text": [LONG], "id": [7], "mood": ["a"]}).label is None


def test_no_label_column():
    with pytest.raises(InvalidData, match="no label column found: it holds texts only"):
        choose({"text": [LONG]}, "required")
    with pytest.raises(InvalidData, match="columns beside the texts are 'a', 'b'; name one with --label-column"):
        choose({"text": [LONG], "a": [1], "b": [2]}, "some")


def test_labels_can_be_ignored():
    assert choose({"text": [LONG], "label": [1]}, "ignored").label is None


def test_dictionary_and_large_strings_are_texts():
    for kind in (pa.dictionary(pa.int32(), pa.string()), pa.large_string(), pa.string_view()):
        assert choose({"text": pa.array([LONG], pa.string()).cast(kind)}).text == "text"
