"""Views of a model: the same numbers from the same weights, and the model itself untouched."""

import pytest
import torch

from nearmiss.models.encoder import load_encoder
from nearmiss.models.lower_layers import LowerLayers, products_in_bfloat16

IDS = torch.tensor([[2, 5, 9, 3], [2, 6, 7, 3]])


@pytest.fixture
def encoder(tiny_bert):
    return load_encoder(tiny_bert, "cpu")


@torch.no_grad()
def test_no_mask_means_that_every_token_is_real(encoders):
    for encoder in encoders:
        for depth in range(encoder.n_layers + 1):
            lower = LowerLayers(encoder.model, depth)
            assert torch.equal(lower(IDS), lower(IDS, attention_mask=torch.ones_like(IDS)))


@torch.no_grad()
def test_weights_converted_once_give_the_bits_of_autocast(encoders):
    for encoder in encoders:
        view = products_in_bfloat16(encoder.model)
        with torch.autocast("cpu", torch.bfloat16):
            expected, found = encoder.model(IDS), view(IDS)
        assert torch.equal(found.last_hidden_state, expected.last_hidden_state)


def test_the_model_keeps_its_own_weights(encoder):
    before = encoder.model.state_dict()
    view = products_in_bfloat16(encoder.model)
    halved = {name for name, weight in view.state_dict().items() if weight.dtype == torch.bfloat16}
    assert "encoder.layer.0.attention.self.query.weight" in halved
    assert not any("LayerNorm" in name or "embeddings" in name for name in halved)
    assert all(weight.dtype == torch.float32 for weight in before.values())
    shared = view.get_submodule("embeddings.word_embeddings").weight
    assert shared is encoder.model.get_submodule("embeddings.word_embeddings").weight
