"""Which column of a table holds the texts, which the labels: given by name, or guessed and told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from nearmiss.errors import InvalidData

__all__ = ["ColumnNames", "Columns", "LabelPolicy", "choose_columns"]

LabelPolicy = Literal["optional", "some", "required", "ignored"]

# Well-known pairs first: "question" alone would otherwise pass for a single text.
_PAIRS = (
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("text_a", "text_b"),
    ("text1", "text2"),
)
# Each tier is looked through before the next; two names of one tier are a question for the user.
_TEXTS = (
    ("text",),
    ("sentence", "content", "review", "document", "body", "comment", "message", "tweet", "utterance"),
    ("description", "abstract", "question", "query"),
    ("title",),
)
_LABELS = (
    ("label",),
    ("labels", "class", "category", "intent", "target", "gold", "gold_label", "label_name", "sentiment", "topic"),
)
_ID = "id"
# Without a well-known name the longest texts win, when they are this many times longer than the next.
_CLEARLY_LONGER = 2.0
_ROWS_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The columns a user named; None where the choice is left to a guess.

    Attributes
    ----------
    text, pair, label, row_id
        As in ``Columns``. A named ``text`` turns the guessing of ``pair`` off.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    row_id: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns in use.

    Attributes
    ----------
    text
        Holds the texts.
    pair
        Holds each text's partner; None for single texts.
    label
        Holds the labels; None where there are none.
    row_id
        Names the rows; None where they go by number.
    notes
        What was guessed, in sentences.
    """

    text: str
    pair: str | None = None
    label: str | None = None
    row_id: str | None = None
    notes: tuple[str, ...] = ()

    def names(self) -> ColumnNames:
        """Return the same choice as if a user had named it, for another file of the same form."""
        return ColumnNames(self.text, self.pair, self.label, self.row_id)


def choose_columns(table: pa.Table, asked: ColumnNames, where: str, labels: LabelPolicy = "optional") -> Columns:
    """Settle which columns are used.

    Guesses go by well-known names (``text``, ``sentence``, ``premise`` and ``hypothesis``, ``label``, ``intent`` ...),
    then, for texts only, by length.

    Parameters
    ----------
    table
        All columns.
    asked
        What the user named.
    where
        What errors call the table.
    labels
        ``some`` and ``required`` refuse a table in which no label column can be found; ``ignored`` looks for none.

    Raises
    ------
    InvalidData
        A named column that is missing or holds no texts, or a guess with several answers; says which flag decides.

    Examples
    --------
    >>> table = pa.table({"premise": ["it rains"], "hypothesis": ["it is wet"], "label": [0]})
    >>> choose_columns(table, ColumnNames(), "nli.csv").notes
    ("text column: 'premise' (guessed)", "pair column: 'hypothesis' (guessed)", "label column: 'label' (guessed)")
    """
    for name in (asked.text, asked.pair, asked.label, asked.row_id):
        if name is not None and name not in table.column_names:
            raise InvalidData(_missing(name, table.column_names, where))
    for name in (asked.text, asked.pair):
        if name is not None and not _holds_text(table.schema.field(name).type):
            raise InvalidData(f"{where}: column {name!r} holds {table.schema.field(name).type}, not text")
    text, pair = _texts(table, asked, where)
    rest = [name for name in table.column_names if name not in (text, pair)]
    row_id = asked.row_id or next((name for name in rest if _plain(name) == _ID), None)
    label = None
    if labels != "ignored":
        label = asked.label or _label([name for name in rest if name != row_id], where, labels)
    chosen = {"text": text, "pair": pair, "label": label, "id": row_id}
    given = {asked.text, asked.pair, asked.label, asked.row_id}
    notes = tuple(f"{role} column: {name!r} (guessed)" for role, name in chosen.items() if name and name not in given)
    return Columns(text, pair, label, row_id, notes)


def _texts(table: pa.Table, asked: ColumnNames, where: str) -> tuple[str, str | None]:
    if asked.text is not None:
        return asked.text, asked.pair
    taken = (asked.pair, asked.label, asked.row_id)
    candidates = [
        name for name in table.column_names if name not in taken and _holds_text(table.schema.field(name).type)
    ]
    by_name = {_plain(name): name for name in candidates}
    if asked.pair is None:
        for first, second in _PAIRS:
            if first in by_name and second in by_name:
                return by_name[first], by_name[second]
    named = _by_tier(candidates, _TEXTS)
    if len(named) > 1:
        raise InvalidData(_ambiguous("texts", named, table.column_names, "text", where))
    return (named[0] if named else _longest(table, candidates, where)), asked.pair


def _label(candidates: Sequence[str], where: str, labels: LabelPolicy) -> str | None:
    named = _by_tier(candidates, _LABELS)
    if len(named) == 1:
        return named[0]
    if labels == "optional":
        return None
    if named:
        raise InvalidData(_ambiguous("labels", named, candidates, "label", where))
    if len(candidates) == 1:
        return candidates[0]
    others = f"the columns beside the texts are {_listed(candidates)}" if candidates else "it holds texts only"
    raise InvalidData(f"{where}: no label column found: {others}; name one with --label-column")


def _by_tier(candidates: Iterable[str], tiers: Iterable[tuple[str, ...]]) -> list[str]:
    for tier in tiers:
        named = [name for name in candidates if _plain(name) in tier]
        if named:
            return named
    return []


def _longest(table: pa.Table, candidates: Sequence[str], where: str) -> str:
    beginning = table.slice(0, _ROWS_LOOKED_AT)
    lengths = {name: _mean_length(beginning[name].to_pylist()) for name in candidates}
    lengths = {name: length for name, length in lengths.items() if length > 0}
    if not lengths:
        raise InvalidData(
            f"{where}: no column of texts among {_listed(table.column_names)}; name one with --text-column"
        )
    ordered = sorted(lengths, key=lambda name: -lengths[name])
    if len(ordered) > 1 and lengths[ordered[0]] < _CLEARLY_LONGER * lengths[ordered[1]]:
        raise InvalidData(_ambiguous("texts", ordered, table.column_names, "text", where))
    return ordered[0]


def _mean_length(values: Sequence[object]) -> float:
    """Mean number of characters of the values that are not numbers."""
    lengths = [len(value) for value in values if isinstance(value, str) and not _is_number(value)]
    # A column of numbers with a stray word is no column of texts.
    return sum(lengths) / len(values) if 2 * len(lengths) > len(values) else 0.0


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return not value.strip()
    return True


def _holds_text(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)  # a column without any value: the readers say that its texts are missing
    )


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _missing(name: str, names: Sequence[str], where: str) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{where} has no column {name!r}; {hint}It has {_listed(names)}"


def _ambiguous(what: str, found: Iterable[str], names: Iterable[str], role: str, where: str) -> str:
    return (
        f"{where}: {_listed(found)} could each hold the {what} (columns: {_listed(names)}); "
        f"say which with --{role}-column"
    )
