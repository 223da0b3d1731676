"""Files into tables, whatever their format, and what went wrong said in terms of the file."""

from __future__ import annotations

import codecs
import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.text.delimited import parse_delimited
from nearmiss.text.json_rows import parse_json
from nearmiss.text.parsed import ParsedTable

__all__ = ["TABLE_SUFFIXES", "is_table_path", "read_table"]

_PLAIN_TEXT = {".csv": "delimited", ".tsv": "delimited", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
_BINARY = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}
#: What a readable file's name may end in; the text formats also with ``.gz``.
TABLE_SUFFIXES = (*_PLAIN_TEXT, *_BINARY)

# The longer marks first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def is_table_path(path: str | Path) -> bool:
    """Say whether a name ends like a file that can be read.

    Examples
    --------
    >>> is_table_path("pool.jsonl.gz"), is_table_path("stanfordnlp/imdb")
    (True, False)
    """
    return _format(Path(path)) is not None


def read_table(path: str | Path, *, encoding: str | None = None, delimiter: str | None = None) -> ParsedTable:
    r"""Read CSV, TSV, JSON Lines, a JSON array, Parquet, or Arrow (file, stream, Feather 2).

    Parameters
    ----------
    path
        The suffix decides the format; text formats may be compressed (``.csv.gz``).
    encoding
        Of text formats; None takes the byte order mark's, else UTF-8.
    delimiter
        Of ``.csv`` and ``.tsv``; None looks at the header (``.csv``) or takes the tab (``.tsv``).

    Raises
    ------
    InvalidData
        No such file, an unknown suffix, or contents that are empty, broken or not what the suffix says.
    InvalidInput
        An encoding or delimiter that does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "films.csv")
    ...     _ = path.write_text("text,label\ngood film,positive\n")
    ...     read_table(path).table.column_names
    ['text', 'label']
    """
    path = Path(path)
    if not path.exists():
        raise InvalidData(f"no such file: {path}")
    kind = _format(path)
    if kind is None:
        raise InvalidData(
            f"{path}: the name does not tell a format that can be read; "
            f"it should end in one of {', '.join(TABLE_SUFFIXES)}, the text formats also with .gz"
        )
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InvalidInput(f"delimiter {delimiter!r} is not one character other than a quote or line end")
    content = _bytes(path)
    if not content:
        raise InvalidData(f"{path} is empty")
    where = str(path)
    if kind == "parquet":
        return _checked(ParsedTable(_parquet(content, where)), where)
    if kind == "arrow":
        return _checked(ParsedTable(_arrow(content, where)), where)
    decoded = _decode(content, encoding, where)
    if kind == "json":
        return _checked(parse_json(decoded, where), where)
    if delimiter is None and ".tsv" in (suffix.lower() for suffix in path.suffixes):
        delimiter = "\t"
    return _checked(parse_delimited(decoded, where, delimiter), where)


def _format(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        return _PLAIN_TEXT.get(suffixes[-2]) if len(suffixes) > 1 else None
    return (_PLAIN_TEXT | _BINARY).get(suffixes[-1]) if suffixes else None


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidData(f"{path} cannot be read: {error.strerror}") from None
    if path.suffix.lower() != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidData(f"{path} is not a whole gzip file: {error}") from None


def _decode(content: bytes, encoding: str | None, where: str) -> str:
    if encoding is None:
        marked = (name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark))
        encoding = next(marked, "utf-8")
        beginning = content[:4096]
        if encoding == "utf-8" and beginning.count(0) * 5 > len(beginning):  # every other byte of UTF-16 English is 0
            raise InvalidData(
                f"{where}: full of NUL bytes, so not UTF-8 text; name its encoding, for example --encoding utf-16-le"
            )
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise InvalidInput(f"no encoding named {encoding!r}; try utf-8, latin-1, cp1252 or utf-16") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidData(
            f"{where}: line {line}: byte 0x{content[error.start]:02x} at offset {error.start} "
            f"is not {encoding.upper()}; name the file's encoding, for example --encoding latin-1 or --encoding cp1252"
        ) from None


def _parquet(content: bytes, where: str) -> pa.Table:
    try:
        return parquet.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise InvalidData(f"{where} is not a whole Parquet file: {_first_sentence(error)}") from None


def _arrow(content: bytes, where: str) -> pa.Table:
    source = pa.BufferReader(content)
    try:
        reader = ipc.open_file(source) if content.startswith(b"ARROW1") else ipc.open_stream(source)
        return reader.read_all()
    except (pa.ArrowException, OSError) as error:
        raise InvalidData(f"{where} is not a whole Arrow file: {_first_sentence(error)}") from None


def _first_sentence(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def _checked(file: ParsedTable, where: str) -> ParsedTable:
    names = file.table.column_names
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidData(f"{where}: the column name {twice[0]!r} occurs twice; rename one of them")
    if not file.table.num_rows:
        raise InvalidData(f"{where} holds columns ({', '.join(names)}) but no rows")
    return file
