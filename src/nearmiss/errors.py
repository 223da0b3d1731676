"""Everything nearmiss can refuse, named after the fact.

::

    NearmissError                 the user can mend it; the command line prints it as one line and exits with 2
    ├── InvalidInput              (also a ValueError) a value, option or array that does not fit
    │   ├── InvalidArray          NaN, wrong shape, mismatched lengths
    │   ├── InvalidData           an unreadable or empty file, a missing column, a label nobody declared
    │   │   └── BadShard          a file of a sharded pool that cannot be used; it alone may be skipped
    │   └── UnknownName           no dataset, model, strategy or option of that name; says which names are near
    ├── PoolExhausted             more texts asked for than remain unlabelled
    ├── MissingExtra              (also an ImportError) an optional part is missing; says which pip install mends it
    ├── ModelUnavailable          a model or dataset cannot be loaded: not on disk, no network
    │   └── MissingHead           a checkpoint without a masked-LM head
    └── RunConflict               a run directory that belongs to another run, or is in use

A message names the fact, the values and the mend: "asked for 50 texts, only 12 unlabelled remain; ask for at most 12".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

__all__ = [
    "BadShard",
    "InvalidArray",
    "InvalidData",
    "InvalidInput",
    "MissingExtra",
    "MissingHead",
    "ModelUnavailable",
    "NearmissError",
    "PoolExhausted",
    "RunConflict",
    "UnknownName",
]


class NearmissError(Exception):
    """Base of every error that nearmiss raises on purpose."""


class InvalidInput(NearmissError, ValueError):
    """A value, option or array does not fit what was asked."""


class InvalidArray(InvalidInput):
    """An array holds NaN, has the wrong shape, or does not match another in length."""


class InvalidData(InvalidInput):
    """A file is unreadable or empty, a column is missing, or a label is not among the declared names."""


class BadShard(InvalidData):
    """A file of a sharded pool is unreadable, or does not hold what the others do; the rest of the pool is sound."""


class UnknownName(InvalidInput):
    """No dataset, model, strategy or option goes by that name."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> Self:
        """Build the error with the nearest known names.

        Examples
        --------
        >>> str(UnknownName.among("strategy", "entrpy", ["entropy", "margin"]))
        "no strategy named 'entrpy'; did you mean 'entropy'? Known: entropy, margin"
        """
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = "did you mean " + " or ".join(repr(n) for n in near) + "? " if near else ""
        return cls(f"no {kind} named {name!r}; {hint}Known: {', '.join(names)}")


class PoolExhausted(NearmissError):
    """More texts were asked for than remain unlabelled.

    Examples
    --------
    >>> str(PoolExhausted(asked=50, remaining=12))
    'asked for 50 texts, only 12 unlabelled remain; ask for at most 12'
    """

    def __init__(self, asked: int, remaining: int) -> None:
        self.asked = asked
        self.remaining = remaining
        mend = f"only {remaining} unlabelled remain; ask for at most {remaining}"
        super().__init__(f"asked for {asked} texts, {mend if remaining else 'and every text has its label already'}")

    def __reduce__(self) -> tuple[type[Self], tuple[int, int]]:
        # Errors travel between processes; the default would call __init__ with the message alone.
        return type(self), (self.asked, self.remaining)


class MissingExtra(NearmissError, ImportError):
    """An optional part is not installed.

    Examples
    --------
    >>> str(MissingExtra("the learning-curve figure", "plots", "matplotlib"))
    "the learning-curve figure needs matplotlib, which is not installed; mend it with: pip install 'nearmiss[plots]'"
    """

    def __init__(self, purpose: str, extra: str, package: str) -> None:
        self.purpose = purpose
        self.extra = extra
        self.package = package
        super().__init__(
            f"{purpose} needs {package}, which is not installed; mend it with: pip install 'nearmiss[{extra}]'"
        )

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        return type(self), (self.purpose, self.extra, self.package)


class ModelUnavailable(NearmissError):
    """A model or dataset cannot be loaded from where it was looked for."""


class MissingHead(ModelUnavailable):
    """A checkpoint has no masked-LM head; transformers would make a random one up."""


class RunConflict(NearmissError):
    """A run directory belongs to another run, or another process is using it."""
