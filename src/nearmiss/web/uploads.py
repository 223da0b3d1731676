"""Files that come with a form, read from a place of our own: no name that is sent ever becomes a path."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.session.exchange.forms import read_items
from nearmiss.session.exchange.imported import ImportedItems
from nearmiss.session.exchange.records import ExchangedItem

__all__ = ["items_of_lines", "read_upload", "safe_suffix"]

_SUFFIX = re.compile(r"(\.[a-z0-9]{1,8})?(\.[a-z0-9]{1,8})")
_LONGEST_NAME = 80


def read_upload(name: str, file: BinaryIO, text_column: str | None, label_column: str | None) -> ImportedItems:
    """Read the texts of a file that was sent.

    Parameters
    ----------
    name
        What the sender calls it: its ending tells the form, and errors name it.
    text_column, label_column
        Columns; None guesses.

    Raises
    ------
    InvalidData
        As ``read_items``.
    """
    shown = "".join(character for character in name if character.isprintable())[-_LONGEST_NAME:] or "the file"
    with tempfile.TemporaryDirectory(prefix="nearmiss-upload-") as folder:
        path = Path(folder, f"upload{safe_suffix(name)}")
        with path.open("wb") as kept:
            shutil.copyfileobj(file, kept)
        try:
            return read_items(path, text_column=text_column, label_column=label_column)
        except InvalidInput as error:
            raise InvalidData(str(error).replace(str(path), shown).replace(path.name, shown)) from None


def items_of_lines(text: str) -> ImportedItems:
    r"""Take each line that is not empty for a text.

    Raises
    ------
    InvalidInput
        There is none.

    Examples
    --------
    >>> [item.text for item in items_of_lines("one\n\n two ").items]
    ['one', 'two']
    """
    items = tuple(ExchangedItem(None, line.strip()) for line in text.splitlines() if line.strip())
    if not items:
        raise InvalidInput("no file and no lines; choose a file, or write texts one a line")
    return ImportedItems(items, (), (), "lines")


def safe_suffix(name: str) -> str:
    """Give the ending of a file's name, in lower case; empty where it is none that a file of texts could have.

    Examples
    --------
    >>> safe_suffix("../Reviews.CSV.gz"), safe_suffix("a/.."), safe_suffix("reviews.v2.csv")
    ('.csv.gz', '', '.csv')
    """
    suffixes = [suffix.lower() for suffix in PurePosixPath(name.replace("\\", "/")).suffixes]
    ending = "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])
    return ending if _SUFFIX.fullmatch(ending) else ""
