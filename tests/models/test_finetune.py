"""The fine-tuning loop, held against plain PyTorch where it can be."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from nearmiss.arrays.tensors import isolated_torch_seed
from nearmiss.errors import InvalidInput
from nearmiss.models.finetune import PRESETS, Examples, FinetuneRecipe, batches_of_like_length, finetune
from nearmiss.models.inference import model_inputs
from nearmiss.models.sequence_model import load_sequence_model
from nearmiss.models.tokens import tokenize
from nearmiss.text.corpus import Texts

TEXTS = Texts(("good film", "bad film the", "a fine actor was good", "rain", "bad rain of the north", "fine plot"))
LABELS = torch.tensor([1, 0, 1, 0, 0, 1])
CPU = torch.device("cpu")


def start(folder, texts=TEXTS, labels=LABELS):
    sequence = load_sequence_model(folder, 2, CPU, seed=3)
    sequence.model.requires_grad_(True)
    return sequence, Examples(tokenize(sequence.encoder, texts, 32), labels)


def weights(sequence):
    return {name: value.clone() for name, value in sequence.model.state_dict().items()}


def trained(folder, recipe, **others):
    sequence, train = start(folder)
    with isolated_torch_seed(5):
        outcome = finetune(sequence, train, recipe, np.random.default_rng(0), **others)
    return sequence, outcome


def test_a_step_is_plain_adamw(tiny_bert):
    """One batch, no dropout: the same as the obvious three lines of PyTorch."""
    recipe = FinetuneRecipe(epochs=1, batch_size=6, learning_rate=1e-3, warmup=0.0, epsilon=1e-2, max_gradient_norm=1e9)
    sequence, train = start(tiny_bert)
    plain, _ = start(tiny_bert)
    for each in (sequence, plain):
        for module in each.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        each.model.config.attention_probs_dropout_prob = 0.0
        for layer in each.model.base_model.encoder.layer:
            layer.attention.self.dropout.p = 0.0
    outcome = finetune(sequence, train, recipe, np.random.default_rng(0))

    optimizer = torch.optim.AdamW(plain.model.parameters(), lr=1e-3, eps=1e-2, weight_decay=0.0)
    plain.model.train()
    inputs = model_inputs(plain.encoder, train.tokens, np.arange(6))
    loss = cross_entropy(plain.model(**inputs).logits, LABELS)
    loss.backward()
    optimizer.step()
    assert outcome.steps == 1
    assert outcome.train_loss == pytest.approx(float(loss.detach()), abs=1e-5)
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(sequence.model.state_dict()[name], value, atol=2e-5, rtol=0)


def test_with_a_validation_set_the_best_weights_are_kept(tiny_bert):
    sequence, train = start(tiny_bert)
    upside_down = Examples(train.tokens, 1 - train.labels)  # the better the model, the worse it does on these
    recipe = FinetuneRecipe(epochs=30, batch_size=3, learning_rate=2e-3)
    with isolated_torch_seed(5):
        outcome = finetune(sequence, train, recipe, np.random.default_rng(0), validation=upside_down)
    unchosen, without = trained(tiny_bert, recipe)
    assert outcome.steps == without.steps == 60, "all steps are done; only the weights are chosen"

    def loss(model):
        inputs = model_inputs(model.encoder, train.tokens, np.arange(6))
        return float(cross_entropy(model.model(**inputs).logits, upside_down.labels))

    assert outcome.validation_loss == pytest.approx(loss(sequence), abs=1e-4)
    assert loss(sequence) < loss(unchosen)
    assert without.validation_loss is None


@pytest.mark.parametrize(("batch_size", "min_steps", "looks"), [(1, 0, 6), (1, 30, 6), (2, 0, 6), (4, 0, 4), (4, 7, 6)])
def test_it_is_evaluated_so_many_times_an_epoch(tiny_bert, monkeypatch, batch_size, min_steps, looks):
    """However many steps an epoch has; and after every step where there are fewer."""
    looked = []
    import nearmiss.models.finetune as module

    real = module.read
    monkeypatch.setattr(module, "read", lambda *a, **k: looked.append(1) or real(*a, **k))
    _, train = start(tiny_bert)
    recipe = FinetuneRecipe(epochs=2, batch_size=batch_size, min_steps=min_steps, evaluations_per_epoch=3)
    trained(tiny_bert, recipe, validation=train)
    assert len(looked) == looks


def test_stops_when_the_training_loss_is_low_enough(tiny_bert):
    recipe = FinetuneRecipe(epochs=60, batch_size=3, learning_rate=5e-3, stop_loss=0.3)
    _, outcome = trained(tiny_bert, recipe)
    assert outcome.train_loss < 0.3
    assert outcome.steps < recipe.steps(6)
    assert outcome.steps % 2 == 0, "it stops after a whole epoch"


def test_frozen_embeddings_stay_and_all_else_moves(tiny_bert):
    sequence, _ = start(tiny_bert)
    before = weights(sequence)
    sequence, _ = trained(tiny_bert, FinetuneRecipe(epochs=4, batch_size=3, learning_rate=1e-3, freeze_embeddings=True))
    moved = {name for name, value in weights(sequence).items() if not torch.equal(value, before[name])}
    assert not any("word_embeddings" in name for name in moved)
    assert "classifier.weight" in moved
    assert any("layer.0" in name for name in moved)
    sequence, _ = trained(tiny_bert, FinetuneRecipe(epochs=4, batch_size=3, learning_rate=1e-3))
    assert not torch.equal(
        weights(sequence)["bert.embeddings.word_embeddings.weight"], before["bert.embeddings.word_embeddings.weight"]
    )


@given(
    lengths=st.lists(st.integers(1, 500), min_size=1, max_size=300),
    batch_size=st.integers(1, 32),
    seed=st.integers(0, 5),
)
def test_batches_hold_every_text_once(lengths, batch_size, seed):
    lengths = np.array(lengths)
    drawn = list(batches_of_like_length(lengths, batch_size, np.random.default_rng(seed)))
    assert sorted(np.concatenate(drawn).tolist()) == list(range(len(lengths)))
    assert all(len(batch) <= batch_size for batch in drawn)
    assert sum(len(batch) < batch_size for batch in drawn) <= 1, "at most one batch is short"


def test_batches_save_padding_and_change_from_epoch_to_epoch():
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 120, 256)

    def cells(batches):
        return sum(len(batch) * lengths[batch].max() for batch in batches)

    alike = list(batches_of_like_length(lengths, 16, rng))
    anyhow = np.split(rng.permutation(256), 16)
    assert cells(alike) < 0.8 * cells(anyhow)
    again = list(batches_of_like_length(lengths, 16, rng))
    assert {frozenset(batch.tolist()) for batch in alike} != {frozenset(batch.tolist()) for batch in again}


def test_presets_are_the_papers_and_another():
    paper = PRESETS["paper"]
    assert (paper.learning_rate, paper.batch_size, paper.epochs, paper.epsilon) == (2e-5, 16, 3, 1e-8)
    assert (paper.weight_decay, paper.warmup, paper.max_gradient_norm) == (0.0, 0.1, 1.0)
    assert paper.evaluations_per_epoch == 5
    assert PRESETS["small"].learning_rate > paper.learning_rate


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1.0}, {"warmup": 1.5}, {"max_gradient_norm": 0.0}],
)
def test_recipes_out_of_range_are_refused(changes):
    with pytest.raises(InvalidInput, match=next(iter(changes))):
        FinetuneRecipe(**changes)
