"""Signed-in sessions: a cookie that scripts cannot read, and the token that proves a write comes from our own page."""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import SimpleCookie
from typing import Protocol

__all__ = ["SessionStore", "cookie_name", "csrf_token", "session_cookie", "token_of"]

_PURPOSE = b"nearmiss csrf 1"
_COOKIE_SECONDS = 30 * 86_400


class SessionStore(Protocol):
    """Where sessions are kept; only hashes of their tokens are, and they outlive the server."""

    def create(self, person: str) -> str:
        """Sign a person in and give the session's token."""
        ...

    def find(self, token: str) -> str | None:
        """Say whose session this is; None for one that has ended or never was."""
        ...

    def end(self, token: str) -> None:
        """End a session."""
        ...


def cookie_name(port: int) -> str:
    """Name the cookie of a server: cookies do not tell ports apart, and two servers must not sign each other out.

    Examples
    --------
    >>> cookie_name(8765)
    'nearmiss-8765'
    """
    return f"nearmiss-{port}"


def session_cookie(name: str, token: str, *, secure: bool, ends: bool = False) -> str:
    """Write the Set-Cookie header that begins a session, or ends it.

    Examples
    --------
    >>> session_cookie("nearmiss-8765", "abc", secure=False)
    'nearmiss-8765=abc; HttpOnly; Max-Age=2592000; Path=/; SameSite=Strict'
    """
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = "" if ends else token
    cookie[name] |= {"path": "/", "httponly": True, "samesite": "Strict", "max-age": 0 if ends else _COOKIE_SECONDS}
    if secure:
        cookie[name]["secure"] = True
    return cookie[name].OutputString()


def token_of(cookies: str, name: str) -> str | None:
    """Find a session's token in a Cookie header.

    Examples
    --------
    >>> token_of("other=1; nearmiss-8765=abc", "nearmiss-8765")
    'abc'
    """
    for part in cookies.split(";"):
        key, equals, value = part.strip().partition("=")
        if equals and key == name:
            return value
    return None


def csrf_token(token: str) -> str:
    """Derive the token that a session's writes must carry; it is the same after the server was restarted.

    Examples
    --------
    >>> csrf_token("abc") == csrf_token("abc") != csrf_token("abd")
    True
    """
    return hmac.new(token.encode(), _PURPOSE, hashlib.sha256).hexdigest()
