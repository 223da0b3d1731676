import numpy as np
import pytest
import torch
from tests.models.tiny import SIZE, save, save_bert, save_masked_bert, save_masked_distilbert, save_masked_roberta
from transformers import AlbertConfig, AlbertModel

from nearmiss.models.encoder import load_encoder
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
def encoders(tiny_bert, tmp_path_factory):
    """One of each way to reach a lower layer: cut (BERT, DistilBERT, RoBERTa), and computed in full (ALBERT)."""
    small = {"embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    albert = AlbertConfig(**SIZE, **small, intermediate_size=48)
    folders = [
        tiny_bert,
        save_masked_distilbert(tmp_path_factory.mktemp("distilbert")),
        save_masked_roberta(tmp_path_factory.mktemp("roberta")),
        save(tmp_path_factory.mktemp("albert"), AlbertModel, albert),
    ]
    return [load_encoder(folder, "cpu") for folder in folders]


@pytest.fixture(scope="session")
def assorted():
    """Forty texts of 0 to 20 words, some of them odd."""
    rng = np.random.default_rng(3)
    words = ("good", "bad", "film", "plot", "rain", "the", "zebra", "filming", "!", "42", "café")
    texts = [" ".join(rng.choice(words, size=size)) for size in rng.integers(1, 20, 34)]
    return Texts((*texts, "", "   ", "🙂 🎬", "good " * 300, "lone \ud800 surrogate", "good film"))
