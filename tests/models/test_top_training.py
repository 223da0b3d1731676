"""Training on cached states: batches, the schedule, the head's start, and what is left alone."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from nearmiss.models.store import RaggedRows
from nearmiss.models.top_layers import Readout, take_top_layers
from nearmiss.models.top_training import Recipe, TunedNetwork, balanced_weights, gather, train

RECIPE = Recipe(
    steps=30,
    batch_size=8,
    learning_rate=1e-3,
    head_learning_rate=1e-2,
    weight_decay=0.01,
    warmup=0.1,
    dropout=0.1,
)
CPU = torch.device("cpu")


def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertModel(
            BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24)
        )


def network(encoder=None, layers=1, classes=3):
    return TunedNetwork(take_top_layers(encoder or model(), layers, Readout.MEAN_QUERY), classes)


def clusters(count=30, classes=3):
    """States whose direction tells the class, in texts of 1 to 6 tokens."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % classes
    centers = torch.randn(classes, 16, generator=generator)
    rows = tuple(
        (centers[label] + torch.randn(1 + i % 6, 16, generator=generator)).bfloat16()
        for i, label in enumerate(labels.tolist())
    )
    return RaggedRows(rows), labels


def test_gather_copies_each_text_and_nothing_else():
    rows, _ = clusters()
    positions = np.array([4, 0, 11])
    batch = gather(rows, positions, CPU)
    assert batch.states.dtype == torch.float32
    for states, length, position in zip(batch.states, batch.lengths, positions, strict=True):
        assert torch.equal(states[:length], rows[position].float())
        assert (states[length:] == 0).all()


def test_training_fits_the_labels_and_lowers_the_loss():
    rows, labels = clusters()
    tuned = network()
    train(tuned, rows, labels, RECIPE, torch.Generator().manual_seed(0))
    logits = tuned(gather(rows, np.arange(len(rows)), CPU)).logits
    assert (logits.argmax(dim=1) == labels).float().mean() > 0.9


def test_only_the_copied_layers_are_trained():
    encoder = model().requires_grad_(False)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    rows, labels = clusters()
    tuned = network(encoder, layers=2)
    train(tuned, rows, labels, RECIPE, torch.Generator().manual_seed(0))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    for mine, theirs in zip(
        (tuned.top.lower[0], tuned.top.last), (encoder.encoder.layer[1], encoder.encoder.layer[2]), strict=True
    ):
        assert not torch.equal(mine.value.weight, theirs.attention.self.value.weight)
        assert not torch.equal(mine.contract.weight, theirs.output.dense.weight)


def test_states_are_left_as_they_were():
    rows, labels = clusters()
    before = [row.clone() for row in rows.rows]
    train(network(), rows, labels, RECIPE, torch.Generator().manual_seed(0))
    assert all(torch.equal(row, old) for row, old in zip(rows.rows, before, strict=True))


def test_the_first_head_is_a_classifier_of_class_means():
    rows, labels = clusters()
    tuned = network(classes=4)  # the fourth class has no text
    assert (tuned(gather(rows, np.arange(5), CPU)).logits == 0).all()
    tuned.start_head(rows, labels)
    outputs = tuned(gather(rows, np.arange(len(rows)), CPU))
    assert (outputs.logits.argmax(dim=1) == labels).float().mean() > 0.8
    assert (outputs.logits[:, 3] == 0).all()
    center = outputs.readout.mean(dim=0)
    assert torch.allclose(tuned.head(center), torch.zeros(4), atol=1e-4)


def test_copies_of_one_text_start_no_head():
    tuned = network()
    row = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    tuned.start_head(RaggedRows((row,) * 7), torch.tensor([0, 1, 0, 1, 2, 2, 1]))
    assert (tuned.head.weight == 0).all()


def test_learning_rates_rise_then_fall():
    factors = [RECIPE.rate_factor(step) for step in range(RECIPE.steps)]
    peak = int(np.argmax(factors))
    assert factors[peak] == 1
    assert all(np.diff(factors[: peak + 1]) > 0)
    assert all(np.diff(factors[3:]) < 0)
    assert 0 < factors[-1] < 0.05


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_extreme_warm_up_is_defined(warmup):
    recipe = Recipe(4, 8, 1e-3, 1e-2, 0.0, warmup, 0.0)
    assert all(0 < recipe.rate_factor(step) <= 1 for step in range(4))


def test_balanced_weights_make_classes_weigh_the_same():
    labels = torch.tensor([0, 0, 0, 0, 2, 2])
    weights = balanced_weights(labels, 4)
    totals = torch.bincount(labels, minlength=4) * weights
    assert torch.allclose(totals, torch.tensor([3.0, 0.0, 3.0, 0.0]))
