import pytest


@pytest.fixture(autouse=True)
def _no_data_dir(monkeypatch):
    """The user's own folder of datasets must not change what a test sees."""
    monkeypatch.delenv("NEARMISS_DATA_DIR", raising=False)
