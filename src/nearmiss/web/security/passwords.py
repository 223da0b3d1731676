"""Passwords, as Argon2 hashes."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from nearmiss.errors import InvalidInput

__all__ = ["SHORTEST", "hash_password", "verify_password"]

#: Characters a password must have at least.
SHORTEST = 10
_LONGEST = 1000
_HASHER = PasswordHasher()


def hash_password(password: str) -> str:
    """Hash a password for keeping.

    Raises
    ------
    InvalidInput
        It is shorter than 10 characters, or absurdly long.

    Examples
    --------
    >>> verify_password("correct horse battery", hash_password("correct horse battery"))
    True
    """
    if not SHORTEST <= len(password) <= _LONGEST:
        raise InvalidInput(f"a password of {len(password)} characters; give it {SHORTEST} to {_LONGEST}")
    return _HASHER.hash(password)


def verify_password(password: str, known: str | None) -> bool:
    """Say whether a password is the one whose hash is known; where none is, it takes as long to say no.

    Examples
    --------
    >>> verify_password("anything at all", None)
    False
    """
    try:
        _HASHER.verify(known or _nobody(), password[:_LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return known is not None


@cache
def _nobody() -> str:
    return _HASHER.hash("the password of nobody at all")
