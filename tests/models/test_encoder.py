"""Finding and loading encoders: what is found, what is refused and in which words, and what stays untouched."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast
from transformers.utils import logging

from nearmiss.errors import InvalidInput, MissingExtra, ModelUnavailable
from nearmiss.models.encoder import find_model, load_encoder


@pytest.fixture
def copied(tiny_bert, tmp_path):
    return Path(shutil.copytree(tiny_bert, tmp_path / "copied"))


def test_embedded_encoder_loads_offline_ready_to_read():
    encoder = load_encoder("minilm", device="cpu")
    assert (encoder.n_layers, encoder.hidden_size, encoder.max_tokens) == (6, 384, 512)
    assert not encoder.model.training
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())
    assert load_encoder("minilm", device="cpu") is encoder


def test_fingerprint_is_of_the_contents_not_of_the_place(tiny_bert, copied):
    assert find_model(str(copied)).fingerprint == find_model(tiny_bert).fingerprint
    weights = load_file(copied / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] += 1
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert find_model(str(copied)).fingerprint != find_model(tiny_bert).fingerprint


def test_fingerprint_ignores_files_that_change_nothing(tiny_bert, copied):
    (copied / "README.md").write_text("about")
    assert find_model(str(copied)).fingerprint == find_model(tiny_bert).fingerprint


def test_loading_leaves_verbosity_progress_bars_and_random_state_alone(copied, capfd):
    torch.manual_seed(5)
    state, verbosity, bars = torch.get_rng_state(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_encoder(str(copied), "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (verbosity, bars)
    assert capfd.readouterr() == ("", "")


def test_missing_folder_is_named():
    with pytest.raises(ModelUnavailable, match=r"no folder \./nowhere.*'minilm'|no folder nowhere.*'minilm'"):
        load_encoder("./nowhere")


def test_unknown_name_says_where_was_looked_and_how_to_mend():
    with pytest.raises(ModelUnavailable, match=r"nobody/nothing.*Hugging Face hub.*connect once.*'minilm'"):
        load_encoder("nobody/nothing")


def test_impossible_name_is_refused_the_same_way():
    with pytest.raises(ModelUnavailable, match="check the spelling"):
        load_encoder("no such name!")


def test_pickled_weights_are_refused_with_the_conversion(copied):
    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"no safetensors weights.*save_pretrained\('converted'\)"):
        load_encoder(str(copied))


def test_folder_without_configuration_is_refused(copied):
    (copied / "config.json").unlink()
    with pytest.raises(ModelUnavailable, match=r"no config\.json"):
        load_encoder(str(copied))


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_damaged_files_are_refused(copied, file):
    content = (copied / file).read_bytes()
    (copied / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        load_encoder(str(copied), "cpu")


def test_incomplete_weights_are_refused(copied):
    weights = load_file(copied / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"lack 1 tensors \(encoder\.layer\.1\.output\.dense\.weight\)"):
        load_encoder(str(copied), "cpu")


def test_a_pooler_that_was_never_trained_is_dropped(copied):
    weights = load_file(copied / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "pooler" not in k}, copied / "model.safetensors", {"format": "pt"})
    assert load_encoder(str(copied), "cpu").model.pooler is None


def test_a_decoder_is_refused(tmp_path):
    GPT2Model(GPT2Config(vocab_size=4, n_positions=16, n_embd=8, n_layer=1, n_head=1)).save_pretrained(tmp_path)
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "c": 2, "d": 3}, unk_token="d"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="d").save_pretrained(tmp_path)
    with pytest.raises(ModelUnavailable, match=r"gpt2.*not an encoder"):
        load_encoder(str(tmp_path), "cpu")


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_unusable_device_is_refused(device):
    with pytest.raises(InvalidInput, match="'auto' or 'cpu'"):
        load_encoder("minilm", device)


def test_missing_extra_says_which(monkeypatch):
    monkeypatch.setattr("nearmiss.models.encoder.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"nearmiss\[transformers\]"):
        find_model("minilm")
