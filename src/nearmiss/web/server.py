"""Serve an application: bound first, to this machine unless there are people with passwords."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from nearmiss.errors import InvalidInput, NearmissError

__all__ = ["Address", "ServerSettings", "running", "serve"]

#: The port taken when none is asked for, or the next free one after it.
_PORT, _PORTS_TRIED = 8765, 50
#: Seconds that requests under way get to end when the server stops.
_GRACE = 2


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how to serve.

    Attributes
    ----------
    host, port
        The address to listen on; port None takes the first free one.
    certificate, key
        Files for TLS; both or neither.
    allowed_hosts
        Names that others reach this machine by.
    guarded
        Whether everybody must sign in with a password; only then may others than this machine connect.

    Raises
    ------
    InvalidInput
        Only one of certificate and key, or a file that is not there, or a port that is none.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    certificate: Path | None = None
    key: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    guarded: bool = False

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InvalidInput("TLS needs both --certificate and --key; give the other too")
        for path in (self.certificate, self.key):
            if path is not None and not path.is_file():
                raise InvalidInput(f"no such file: {path}")
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise InvalidInput(f"port {self.port}; ports run from 1 to 65535")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server can be reached.

    Attributes
    ----------
    link
        The address to open on this machine, without a slash at the end.
    port, secure
        The port, and whether TLS is spoken.
    hosts
        Every ``Host`` it answers to.
    any_address
        Whether it listens on all of the machine's addresses.
    """

    link: str
    port: int
    secure: bool
    hosts: frozenset[str]
    any_address: bool = False

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self.secure else "http"


def serve(
    application: Callable[[Address], ASGIApp], settings: ServerSettings, *, on_ready: Callable[[Address], None]
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    application
        Builds the application once the address is known.
    on_ready
        Called when connections are accepted.

    Raises
    ------
    NearmissError
        The port is taken, or the address is not this machine's.
    InvalidInput
        Others could connect, and need no password.
    """
    with _listening(settings) as (listener, address):
        server = _server(application(address), settings)
        on_ready(address)
        server.run(sockets=[listener])


@contextmanager
def running(application: Callable[[Address], ASGIApp], settings: ServerSettings) -> Iterator[Address]:
    """Serve in a thread while the context lasts.

    Raises
    ------
    NearmissError, InvalidInput
        As ``serve``.
    """
    with _listening(settings) as (listener, address):
        server = _server(application(address), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(timeout=_GRACE + 3)


def _server(application: ASGIApp, settings: ServerSettings) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            application,
            http="h11",
            ws="none",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # whoever connects is who they are: no header may say otherwise
            timeout_graceful_shutdown=_GRACE,
            ssl_certfile=None if settings.certificate is None else str(settings.certificate),
            ssl_keyfile=None if settings.key is None else str(settings.key),
        )
    )


@contextmanager
def _listening(settings: ServerSettings) -> Iterator[tuple[socket.socket, Address]]:
    if not _is_loopback(settings.host) and not settings.guarded:
        raise InvalidInput(
            f"--host {settings.host} lets others connect, and nobody has a password yet; let people in first: "
            "nearmiss people PROJECT --add NAME"
        )
    listener = _bound(settings)
    try:
        yield listener, _address(settings, listener.getsockname()[1])
    finally:
        listener.close()


def _bound(settings: ServerSettings) -> socket.socket:
    ports = range(_PORT, _PORT + _PORTS_TRIED) if settings.port is None else (settings.port,)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    for port in ports:
        try:
            return socket.create_server((settings.host, port), family=family, backlog=128)
        except OSError as error:
            failure = error
            if not settings.port and error.errno in _TAKEN:
                continue
            break
    raise NearmissError(
        f"cannot listen on {settings.host}, port {ports[-1]}: {failure.strerror or failure}; name another with --port, "
        "or leave it out"
    )


_TAKEN = frozenset({48, 98, 10048, 13})  # in use (macOS, Linux, Windows), or not permitted


def _address(settings: ServerSettings, port: int) -> Address:
    secure = settings.certificate is not None
    wildcard = settings.host in ("0.0.0.0", "::")
    names = ["127.0.0.1", "localhost", "[::1]"] if wildcard or _is_loopback(settings.host) else []
    literal = f"[{settings.host}]" if ":" in settings.host else settings.host
    names += [literal, *settings.allowed_hosts] if not wildcard else [socket.gethostname(), *settings.allowed_hosts]
    hosts = {f"{name.lower()}:{port}" for name in names}
    if port == (443 if secure else 80):
        hosts |= {name.lower() for name in names}
    shown = "127.0.0.1" if wildcard else literal
    return Address(f"{'https' if secure else 'http'}://{shown}:{port}", port, secure, frozenset(hosts), wildcard)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
