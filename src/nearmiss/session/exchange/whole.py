"""Write a file or a folder whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from nearmiss.errors import InvalidData, InvalidInput

__all__ = ["check_target", "write_whole_file", "write_whole_folder"]


def check_target(path: str | Path, *, overwrite: bool) -> Path:
    """Refuse a name that cannot be written to; symbolic links are followed.

    Raises
    ------
    InvalidInput
        Its folder does not exist, or it is there already and may not be replaced.

    Examples
    --------
    >>> check_target("/absent/folder/tasks.json", overwrite=False)
    Traceback (most recent call last):
    nearmiss.errors.InvalidInput: /absent/folder/tasks.json: there is no folder /absent/folder; make it first
    """
    target = Path(path).expanduser().resolve()
    if not target.parent.is_dir():
        raise InvalidInput(f"{path}: there is no folder {target.parent}; make it first")
    if target.exists() and not overwrite:
        raise InvalidInput(f"{path} exists already; choose another name or allow it to be replaced with --overwrite")
    return target


def write_whole_file(path: str | Path, lines: Iterable[str], *, overwrite: bool = False) -> None:
    r"""Write text to a file that takes its name only when it is complete and on disk.

    Parameters
    ----------
    path
        The file; its folder must exist.
    lines
        Pieces of text, written one after another.
    overwrite
        Replace an existing file.

    Raises
    ------
    InvalidInput
        As ``check_target``, or the name is a folder's.
    InvalidData
        The disk refuses, or a text holds half a character.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole_file(Path(folder, "a.json"), ["[]", "\n"])
    ...     Path(folder, "a.json").read_text()
    '[]\n'
    """
    target = check_target(path, overwrite=overwrite)
    if target.is_dir():
        raise InvalidInput(f"{path} is a folder; name a file in it")
    temporary = _temporary(target)
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(temporary, target, overwrite=overwrite)
    except UnicodeEncodeError:
        raise InvalidData(f"{path} cannot be written: a text holds half a character (a lone surrogate)") from None
    except OSError as error:
        raise InvalidData(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole_folder(
    path: str | Path, fill: Callable[[Path], None], *, contents: frozenset[str], overwrite: bool = False
) -> None:
    """Write a folder that takes its name only when it is complete.

    Parameters
    ----------
    path
        The folder; the one above must exist.
    fill
        Writes everything into the folder it is given.
    contents
        What such a folder holds. One that holds anything else is never replaced: it is somebody's own.
    overwrite
        Replace an earlier folder of the same kind.

    Raises
    ------
    InvalidInput
        As ``check_target``, or what is there is no earlier folder of this kind.
    InvalidData
        The disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fill = lambda part: Path(part, "README.md").touch()
    ...     write_whole_folder(Path(folder, "films"), fill, contents=frozenset({"README.md"}))
    ...     [file.name for file in Path(folder, "films").iterdir()]
    ['README.md']
    """
    target = check_target(path, overwrite=overwrite)
    if target.exists():
        others = [target.name] if not target.is_dir() else sorted({file.name for file in target.iterdir()} - contents)
        if others:
            raise InvalidInput(f"{path} is no earlier export (it holds {others[0]!r}); choose another name")
    temporary, earlier = _temporary(target), _temporary(target)
    try:
        temporary.mkdir()
        fill(temporary)
        if target.exists():
            target.rename(earlier)
        try:
            temporary.rename(target)
        except OSError:
            if earlier.exists():
                earlier.rename(target)
            raise
    except OSError as error:
        raise InvalidData(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if target.exists():  # were it missing, the earlier folder would be all there is
            shutil.rmtree(earlier, ignore_errors=True)


def _put_in_place(temporary: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        try:
            target.hardlink_to(temporary)  # unlike a rename, refuses a file that has appeared meanwhile
        except FileExistsError:
            raise InvalidInput(f"{target} exists already; choose another name") from None
        except OSError:  # a file system without hard links
            pass
        else:
            return
    temporary.replace(target)


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
