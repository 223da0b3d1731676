"""JSON Lines, or one JSON array of objects, into a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from nearmiss.errors import InvalidData
from nearmiss.text.parsed import ParsedTable

__all__ = ["parse_json"]

_EXAMPLE = '{"text": "...", "label": "..."}'


@dataclass(frozen=True, slots=True)
class _Object:
    place: str  # "line 3", or "object 3" of an array
    fields: dict[str, object]


def parse_json(content: str, where: str) -> ParsedTable:
    r"""Read one JSON object a line, or an array of objects.

    A key that is missing in a row is null there. A key whose values are of different kinds becomes a column of
    strings, and a note says so.

    Parameters
    ----------
    content
        The whole file.
    where
        What errors call it.

    Raises
    ------
    InvalidData
        Empty, a line that is no JSON object (named), a character that no file can hold (half a surrogate pair).

    Examples
    --------
    >>> parse_json('{"text": "good", "label": 1}\n{"text": "bad", "label": 0}\n', "films.jsonl").table.to_pylist()
    [{'text': 'good', 'label': 1}, {'text': 'bad', 'label': 0}]
    """
    objects = _array(content, where) if content.lstrip().startswith("[") else _lines(content, where)
    if not objects:
        raise InvalidData(f"{where} holds no rows; expected one JSON object a line, such as {_EXAMPLE}")
    names = list(dict.fromkeys(name for item in objects for name in item.fields))
    notes: list[str] = []
    columns: dict[str, pa.Array[Any]] = {}
    for name in names:
        values = [item.fields.get(name) for item in objects]
        try:
            columns[name] = _uniform(values)
        except UnicodeEncodeError:
            raise InvalidData(_surrogate(objects, name, where)) from None
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            columns[name] = pa.array([_as_text(value) for value in values], pa.string())
            notes.append(f"column {name!r} holds values of different kinds; they are read as text")
    return ParsedTable(pa.table(columns), tuple(notes))


def _lines(content: str, where: str) -> list[_Object]:
    objects = []
    # Only \n ends a line: the separators that str.splitlines knows may stand unescaped inside a JSON string.
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            place = f"line {number}"
            objects.append(_Object(place, _as_object(_decoded(line, f"{where}: {place}"), f"{where}: {place}")))
    return objects


def _array(content: str, where: str) -> list[_Object]:
    items = _decoded(content, where)
    if not isinstance(items, list):
        raise InvalidData(f"{where}: expected an array of objects or one object a line, such as {_EXAMPLE}")
    return [
        _Object(f"object {number}", _as_object(item, f"{where}: object {number}"))
        for number, item in enumerate(items, start=1)
    ]


def _decoded(text: str, place: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise InvalidData(
            f"{place}: not valid JSON ({error.msg} at {at}); expected one object a line, such as {_EXAMPLE}, "
            "or an array of them"
        ) from None
    except (RecursionError, ValueError) as error:  # nesting or a number beyond what the parser takes
        raise InvalidData(f"{place}: JSON that cannot be read ({error})") from None


def _as_object(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidData(f"{place}: expected an object such as {_EXAMPLE}, found {_kind(value)}")
    return value


def _kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _uniform(values: list[object]) -> pa.Array[Any]:
    if {bool} < {type(value) for value in values if value is not None}:
        raise pa.ArrowInvalid("truth values among others")  # arrow would turn true into 1.0
    return pa.array(values)


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _surrogate(objects: list[_Object], name: str, where: str) -> str:
    for item in objects:
        written = json.dumps(item.fields.get(name), ensure_ascii=False)
        try:
            written.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(written[error.start]):04x}"
            return (
                f"{where}: {item.place}: column {name!r} holds {half}, half of a character (a lone surrogate); "
                "write the character whole or remove it"
            )
    return f"{where}: column {name!r} holds half a character (a lone surrogate)"
