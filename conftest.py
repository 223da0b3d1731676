"""Every Python block of README.md and docs/ runs as a test, in a folder of its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# Nothing in the tests may reach for a hub; what they need is embedded or made on the spot.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' cached states out of the user's own cache, and the user's out of the tests."""
    saved = os.environ.get("NEARMISS_CACHE_DIR")
    os.environ["NEARMISS_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if saved is None:
        os.environ.pop("NEARMISS_CACHE_DIR")
    else:
        os.environ["NEARMISS_CACHE_DIR"] = saved


def _enter(namespace: dict[str, Any]) -> None:
    namespace["_here"] = Path.cwd()


def _leave(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["_here"])


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/**/*.md"],
    setup=_enter,
    teardown=_leave,
).pytest()
