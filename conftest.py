"""Every Python block of README.md and docs/ runs as a test; no test touches the user's cache, or a hub."""

import os
from collections.abc import Iterator

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# Nothing in the tests may reach for a hub; what they need is embedded or made on the spot.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line has it: tests may run beside other work


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


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
).pytest()
