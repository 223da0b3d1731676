import numpy as np
import pytest
import torch
from tests.models.tiny import save_bert, save_masked_bert

from nearmiss.text.corpus import Texts


@pytest.fixture(autouse=True, scope="module")
def _one_thread_for_tiny_models():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads on a matrix of 32 columns wait for each other most of the time
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A random two-layer BERT of width 32 that reads 64 tokens."""
    return save_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def tiny_masked_bert(tmp_path_factory):
    """The same with a masked-LM head."""
    return save_masked_bert(tmp_path_factory.mktemp("tiny-masked-bert"))


@pytest.fixture(scope="session")
def assorted():
    """Forty texts of 0 to 20 words, some of them odd."""
    rng = np.random.default_rng(3)
    words = ("good", "bad", "film", "plot", "rain", "the", "zebra", "filming", "!", "42", "café")
    texts = [" ".join(rng.choice(words, size=size)) for size in rng.integers(1, 20, 34)]
    return Texts((*texts, "", "   ", "🙂 🎬", "good " * 300, "lone \ud800 surrogate", "good film"))
