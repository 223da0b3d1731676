import numpy as np
import pytest
import torch
from tests.arrays.thread_settings import blas_threads, settings_of_thread


@pytest.fixture
def rng():
    return np.random.default_rng(20211107)


@pytest.fixture
def three_threads():
    """Let torch use three threads whatever the machine has, and see to it that a test leaves all as it was."""
    given = torch.get_num_threads()
    torch.set_num_threads(3)
    before = settings_of_thread()
    yield
    after = settings_of_thread()
    torch.set_num_threads(given)
    assert after == before


@pytest.fixture
def many_blas_threads():
    """Say which numbers of BLAS threads are restored; a machine of one core has nothing to restore."""
    before = blas_threads()
    if before == {1}:
        pytest.skip("BLAS has one thread on this machine anyway")
    return before
