"""JSON files of other tools: read whole, and looked into with errors that name the record."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nearmiss.errors import InvalidData, InvalidInput

__all__ = ["JsonObject", "as_objects", "as_text", "load_json", "parse_json_text"]

# How a file can spell half a character; worth a closer look only where it occurs.
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object and where it stands.

    Attributes
    ----------
    place
        What errors call it: the file and the record in it.
    values
        Its members.
    """

    place: str
    values: Mapping[str, object]

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def text(self, key: str) -> str | None:
        """Return a member that is a string or a number, as text; None where it is missing or null.

        Raises
        ------
        InvalidData
            It is of another kind.
        """
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return as_text(value)
        raise self.refusal(key, value, "a string")

    def number(self, key: str) -> float | None:
        """Return a member that is a finite number, or a string that spells one; None where it is missing or null.

        Raises
        ------
        InvalidData
            It is of another kind.
        """
        value = self.values.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                number = math.nan
            if math.isfinite(number):
                return number
        raise self.refusal(key, value, "a number")

    def flag(self, key: str) -> bool:
        """Return a member that is true or false; false where it is missing or null.

        Raises
        ------
        InvalidData
            It is of another kind.
        """
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.refusal(key, value, "true or false")

    def member(self, key: str) -> JsonObject:
        """Return a member that is an object; an empty one where it is missing or null.

        Raises
        ------
        InvalidData
            It is of another kind.
        """
        value = self.values.get(key)
        if value is None:
            return JsonObject(self.place, {})
        if isinstance(value, dict):
            return JsonObject(self.place, value)
        raise self.refusal(key, value, "an object")

    def entries(self, key: str) -> list[object]:
        """Return a member that is an array; an empty one where it is missing or null.

        Raises
        ------
        InvalidData
            It is of another kind.
        """
        value = self.values.get(key)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise self.refusal(key, value, "an array")

    def members(self, key: str) -> list[JsonObject]:
        """Return a member that is an array of objects; an empty one where it is missing or null.

        Raises
        ------
        InvalidData
            It is of another kind.
        """
        found = []
        for number, value in enumerate(self.entries(key), start=1):
            if not isinstance(value, dict):
                raise self.refusal(f"{key} {number}", value, "an object")
            found.append(JsonObject(self.place, value))
        return found

    def refusal(self, key: str, value: object, expected: str) -> InvalidData:
        """Build the error for a member of the wrong kind."""
        return InvalidData(f"{self.place}: {key!r} should be {expected}, found {_shown(value)}; mend it there")


def load_json(path: Path, encoding: str | None = None) -> list[object]:
    """Read the records of a JSON array, of JSON Lines, or the one object that a file holds.

    Parameters
    ----------
    path
        The file.
    encoding
        None detects UTF-8, UTF-16 and UTF-32.

    Raises
    ------
    InvalidData
        No such file, no JSON, no records, half a character somewhere.
    InvalidInput
        An encoding that does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "tasks.json")
    ...     _ = path.write_text('[{"text": "hi"}]')
    ...     load_json(path)
    [{'text': 'hi'}]
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidData(f"{path} cannot be read: {error.strerror}") from None
    encoding = encoding or json.detect_encoding(content)
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise InvalidInput(f"no encoding named {encoding!r}; try utf-8, latin-1, cp1252 or utf-16") from None
    except UnicodeError as error:
        raise InvalidData(f"{path} is not {encoding.upper()} text ({error}); name its encoding: --encoding") from None
    records = _records(text, path)
    if not records:
        raise InvalidData(f"{path} holds no records; export it again from a project with texts")
    if _HALF_CHARACTER.search(text):
        _refuse_half_characters(records, path)
    return records


def as_objects(records: Iterable[object], where: str, noun: str) -> list[JsonObject]:
    """Give each record its place.

    Parameters
    ----------
    records
        As loaded.
    where
        The file's name.
    noun
        What the tool calls a record.

    Raises
    ------
    InvalidData
        A record that is no object.

    Examples
    --------
    >>> as_objects([{"text": "hi"}], "tasks.json", "task")[0].place
    'tasks.json: task 1'
    """
    objects = []
    for number, record in enumerate(records, start=1):
        place = f"{where}: {noun} {number}"
        if not isinstance(record, dict):
            raise InvalidData(f"{place} should be an object, found {_shown(record)}; mend it or take it out")
        objects.append(JsonObject(place, record))
    return objects


def as_text(value: object) -> str:
    """Write a JSON value as text: a string as it is, anything else as JSON.

    Raises
    ------
    InvalidData
        It is nested too deeply.

    Examples
    --------
    >>> as_text("é"), as_text(True), as_text(["é", 1])
    ('é', 'true', '["é", 1]')
    """
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        raise InvalidData("a value is nested too deeply to be read; take it out of the file") from None


def parse_json_text(text: str, place: str) -> object:
    """Decode JSON.

    Raises
    ------
    InvalidData
        It is none, or nested or long beyond what can be read.

    Examples
    --------
    >>> parse_json_text("[1]", "films.csv: row 1")
    [1]
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidData(f"{place}: not valid JSON ({error.msg} at character {error.pos + 1})") from None
    except (RecursionError, ValueError) as error:
        raise InvalidData(f"{place}: JSON that cannot be read ({error})") from None


def _records(text: str, path: Path) -> list[object]:
    beginning = text.lstrip()[:1]
    if beginning == "[":
        records = parse_json_text(text, str(path))
        return records if isinstance(records, list) else []
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    try:
        return [parse_json_text(line, f"{path}: line {number}") for number, line in lines]
    except InvalidData:
        if beginning != "{" or lines[0][1].strip() != "{":
            raise
    return [parse_json_text(text, str(path))]  # one object, written over several lines


def _refuse_half_characters(records: list[object], path: Path) -> None:
    for number, record in enumerate(records, start=1):
        written = as_text(record)
        try:
            written.encode()
        except UnicodeEncodeError as error:
            raise InvalidData(
                f"{path}: record {number} holds \\u{ord(written[error.start]):04x}, half of a character "
                "(a lone surrogate); write the character whole or remove it"
            ) from None


def _shown(value: object) -> str:
    written = as_text(value) if not isinstance(value, str) else repr(value)
    return written if len(written) <= 60 else f"{written[:57]}..."
