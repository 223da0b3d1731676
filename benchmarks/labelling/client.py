"""The server as a process, and a client that speaks to it as the page does."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["Client", "Server", "Unanswered"]

_TOKEN = re.compile(r'<meta name="csrf-token" content="([0-9a-f]+)"')


class Unanswered(Exception):
    """The server did not answer, or not to the end."""


class Server:
    """``nearmiss serve`` in a process of its own.

    Parameters
    ----------
    project
        The project's folder.
    port
        Where it listens.
    """

    def __init__(self, project: Path, port: int) -> None:
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nearmiss", "serve", str(project), "--port", str(port), "--no-browser"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"},
        )
        self.link = self._link()
        self.ready_after = time.perf_counter() - self.started

    def _link(self) -> str:
        printed = []
        for line in self._process.stdout or ():
            printed.append(line)
            found = re.search(r"http\S+/enter\?token=\S+", line)
            if found:
                self._reader = threading.Thread(target=self._drain)
                self._reader.start()
                return found[0]
        raise RuntimeError(f"the server did not start: {''.join(printed)}")

    def _drain(self) -> None:
        for _ in self._process.stdout or ():
            pass

    def kill(self) -> None:
        """End it as power loss would, as far as a process can tell."""
        self._process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self) -> int:
        """End it as Ctrl-C does, and give its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._end()

    def _end(self) -> int:
        code = self._process.wait(timeout=30)
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code


@dataclass
class Client:
    """One signed-in person.

    Attributes
    ----------
    host, cookie, csrf
        Where the server is, and what says who asks.
    """

    host: str
    cookie: str
    csrf: str

    def __post_init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None

    @classmethod
    def enter(cls, link: str) -> Self:
        """Sign in by the start-up link."""
        parts = urlsplit(link)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        answer.read()
        cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]
        connection.request("GET", "/", headers={"Cookie": cookie})
        page = connection.getresponse().read().decode()
        connection.close()
        found = _TOKEN.search(page)
        if not found:
            raise RuntimeError("the labelling page has no CSRF token: was the link right?")
        return cls(parts.netloc, cookie, found[1])

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send JSON and give the JSON that came back.

        Raises
        ------
        Unanswered
            The server is gone, or went in the middle.
        """
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self.host, timeout=10)
            headers = {"Cookie": self.cookie, "X-CSRF-Token": self.csrf, "Content-Type": "application/json"}
            headers["Origin"] = f"http://{self.host}"
            self._connection.request("POST", path, json.dumps(body), headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unanswered(str(error)) from error
        if answer.status >= 500:
            raise Unanswered(f"{answer.status}: {content[:200]!r}")
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}: {content[:300]!r}")
        answered: dict[str, Any] = json.loads(content)
        return answered
