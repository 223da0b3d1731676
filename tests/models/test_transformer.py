"""The fine-tuned classifier: what it says in one pass, what it reports, what it leaves on disk."""

import json

import numpy as np
import pytest
import torch
from tests.models.tiny import save_masked_distilbert, save_masked_roberta

from nearmiss.acquisition.base import Signal
from nearmiss.errors import InvalidInput, ModelUnavailable
from nearmiss.models.sequence_model import REPRESENTATIONS, load_sequence_model, read
from nearmiss.models.tokens import tokenize
from nearmiss.models.transformer import FinetunedClassifier
from nearmiss.text.corpus import Texts

TEXTS = Texts(("good film", "bad film the", "a fine actor was good", "rain", "bad rain of the north", "fine plot"))
LABELS = np.array([1, 0, 1, 0, 0, 1])
CPU = torch.device("cpu")


def rng(seed=0):
    return np.random.default_rng(seed)


def make(folder, **options):
    defaults = {"max_length": 32, "learning_rate": 3e-3, "min_steps": 30, "batch_size": 3, "device": "cpu"}
    return FinetunedClassifier(model=folder, **(defaults | options))


def fitted(folder, texts=TEXTS, labels=LABELS, n_classes=2, **options):
    classifier = make(folder, **options)
    classifier.fit(texts, labels, n_classes=n_classes, rng=rng())
    return classifier


@pytest.mark.parametrize("half", [False, True])
def test_one_pass_gives_what_one_text_at_a_time_gives(tiny_bert, half, monkeypatch):
    """The slow obvious version: each text alone, no padding, representations taken by hand."""
    sequence = load_sequence_model(tiny_bert, 3, CPU, seed=1)
    tokens = tokenize(sequence.encoder, TEXTS, 32)
    passes = []
    real = sequence.model.forward
    monkeypatch.setattr(sequence.model, "forward", lambda *a, **k: passes.append(1) or real(*a, **k))
    spoken = read(sequence, tokens, REPRESENTATIONS, half=half)
    assert len(passes) == len(set(tokens.lengths.tolist())), "one pass a batch, however much is asked for"
    for i, text in enumerate(TEXTS.first):
        inputs = sequence.encoder.tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            out = real(**inputs, output_hidden_states=True)
            pooled = sequence.model.base_model(**inputs).pooler_output[0]
        first, last = out.hidden_states[0][0], out.hidden_states[-1][0]
        expected = {
            "cls": last[0],
            "mean-output": last.mean(dim=0),
            "mean-embedding": first.mean(dim=0),
            "pooler": pooled,
            "penultimate": pooled,
        }
        close = {"atol": 5e-2, "rtol": 5e-2} if half else {"atol": 1e-5, "rtol": 1e-5}
        torch.testing.assert_close(spoken.logits[i], out.logits[0], **close)
        for name, vector in expected.items():
            torch.testing.assert_close(spoken.representations[name][i], vector, **close)


def test_padding_takes_no_part(tiny_bert, monkeypatch):
    """On a GPU texts of unlike length share a batch."""
    import nearmiss.models.inference as module

    sequence = load_sequence_model(tiny_bert, 2, CPU, seed=1)
    tokens = tokenize(sequence.encoder, TEXTS, 32)
    alone = read(sequence, tokens, REPRESENTATIONS)
    monkeypatch.setitem(module.GRANULARITY, "cpu", 32)
    padded = read(sequence, tokens, REPRESENTATIONS)
    torch.testing.assert_close(padded.logits, alone.logits, atol=1e-5, rtol=1e-5)
    for name in REPRESENTATIONS:
        torch.testing.assert_close(padded.representations[name], alone.representations[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("save", [save_masked_distilbert, save_masked_roberta])
def test_other_architectures_have_the_same_signals(save, tmp_path):
    classifier = fitted(save(tmp_path / "model"))
    seen = classifier.infer(TEXTS, {Signal.FEATURES, Signal.LOG_PROBS}, representations=REPRESENTATIONS, rng=rng())
    assert all(vectors.shape == (6, 32) for vectors in seen.representations.values())
    assert np.isfinite(seen.log_probs).all()


def test_pairs_have_segment_ids_of_their_own(tiny_bert):
    pairs = Texts(("good film", "bad"), ("the rain", "fine plot"))
    sequence = load_sequence_model(tiny_bert, 2, CPU, seed=1)
    spoken = read(sequence, tokenize(sequence.encoder, pairs, 32))
    for i in range(2):
        inputs = sequence.encoder.tokenizer(
            pairs.first[i], pairs.second[i], return_tensors="pt", return_token_type_ids=True
        )
        assert inputs["token_type_ids"].sum() > 0
        with torch.no_grad():
            torch.testing.assert_close(spoken.logits[i], sequence.model(**inputs).logits[0], atol=1e-5, rtol=1e-5)


def collapsing(monkeypatch, times):
    """Make the first trainings end in one class for all texts."""
    import nearmiss.models.transformer as module

    done = []
    real = module.finetune

    def finetune(sequence, *arguments, **options):
        outcome = real(sequence, *arguments, **options)
        done.append(1)
        if len(done) <= times:
            sequence.head.weight.data.zero_()
            sequence.head.bias.data.copy_(torch.tensor([0.0, 1.0]))
        return outcome

    monkeypatch.setattr(module, "finetune", finetune)
    return done


def test_a_collapsed_training_is_begun_again_and_told(tiny_bert, monkeypatch):
    assert (fitted(tiny_bert).report.attempts, fitted(tiny_bert).report.collapsed) == (1, False)
    done = collapsing(monkeypatch, 1)
    classifier = fitted(tiny_bert)
    assert (len(done), classifier.report.attempts, classifier.report.collapsed) == (2, 2, False)


def test_one_that_collapses_every_time_is_told_too(tiny_bert, monkeypatch):
    done = collapsing(monkeypatch, 99)
    classifier = fitted(tiny_bert, retries=1)
    assert (len(done), classifier.report.attempts, classifier.report.collapsed) == (2, 2, True)
    done.clear()
    assert fitted(tiny_bert, retries=0).report.attempts == len(done) == 1


def test_one_class_in_the_labels_is_no_collapse(tiny_bert):
    assert not fitted(tiny_bert, labels=np.ones(6, dtype=np.int64)).report.collapsed


def test_the_validation_set_chooses_the_weights(tiny_bert):
    classifier = make(tiny_bert, min_steps=60)
    classifier.validate_on(TEXTS, 1 - LABELS)
    classifier.fit(TEXTS, LABELS, n_classes=2, rng=rng())
    plain = fitted(tiny_bert, min_steps=60)
    assert classifier.report.validation_loss is not None
    assert plain.report.validation_loss is None
    confidence = [np.exp(c.infer(TEXTS, {Signal.LOG_PROBS}, rng=rng()).log_probs).max() for c in (classifier, plain)]
    assert confidence[0] < confidence[1]


def test_warm_start_goes_on_and_restart_forgets(tiny_bert):
    def logits(classifier):
        return classifier.infer(TEXTS, {Signal.LOG_PROBS}, rng=rng()).logits

    cold, warm = (make(tiny_bert, warm_start=w, min_steps=4) for w in (False, True))
    for classifier in (cold, warm):
        for seed in (0, 1):
            classifier.fit(TEXTS, LABELS, n_classes=2, rng=rng(seed))
    assert not np.array_equal(logits(cold), logits(warm))
    warm.restart()
    warm.fit(TEXTS, LABELS, n_classes=2, rng=rng(1))
    np.testing.assert_array_equal(logits(cold), logits(warm))


def test_the_global_generator_is_neither_read_nor_moved(tiny_bert):
    """Heads drawn at random, dropout in training, dropout in sampling."""

    def everything(seed):
        torch.manual_seed(seed)
        classifier = fitted(tiny_bert, mc_samples=2, min_steps=4)
        seen = classifier.infer(TEXTS, {Signal.LOG_PROBS, Signal.MC_LOG_PROBS}, rng=rng())
        return seen, torch.rand(3)

    (one, after_one), (two, after_two) = everything(1), everything(2)
    np.testing.assert_array_equal(one.logits, two.logits)
    np.testing.assert_array_equal(one.mc_log_probs, two.mc_log_probs)
    for seed, after in ((1, after_one), (2, after_two)):
        torch.manual_seed(seed)
        assert torch.equal(torch.rand(3), after)


def test_class_weights_favour_the_rare_class(tiny_bert):
    texts, labels = Texts((*TEXTS.first, "good", "fine actor", "good plot", "a fine film")), np.append(LABELS, [1] * 4)
    plain, balanced = (
        fitted(tiny_bert, texts, labels, class_weight=weight, min_steps=6, learning_rate=1e-3)
        for weight in ("none", "balanced")
    )
    rare = [np.exp(c.infer(texts, {Signal.LOG_PROBS}, rng=rng()).log_probs[:, 0]).mean() for c in (plain, balanced)]
    assert rare[1] > rare[0]


def test_the_saved_folder_is_a_pipeline(tiny_bert, tmp_path):
    from transformers import pipeline

    classifier = fitted(tiny_bert, precision="float32")
    folder = classifier.save(tmp_path / "model", ("bad", "good"), remark="Labelled by hand.")
    assert sorted(path.suffix for path in folder.iterdir() if path.stat().st_size > 5000) == [".safetensors"]
    assert json.loads((folder / "config.json").read_text())["id2label"] == {"0": "bad", "1": "good"}
    assert "Labelled by hand." in (folder / "README.md").read_text()
    told = pipeline("text-classification", str(folder), device="cpu")(list(TEXTS.first), truncation=True)
    seen = np.exp(classifier.infer(TEXTS, {Signal.LOG_PROBS}, rng=rng()).log_probs)
    assert [answer["label"] for answer in told] == [("bad", "good")[row.argmax()] for row in seen]
    np.testing.assert_allclose([answer["score"] for answer in told], seen.max(axis=1), atol=1e-4)
    again = FinetunedClassifier(model=str(folder), device="cpu", max_length=32)
    again.prepare(TEXTS)
    with pytest.raises(InvalidInput, match="holds something already"):
        classifier.save(folder, ("bad", "good"))
    with pytest.raises(InvalidInput, match="1 distinct label names"):
        classifier.save(tmp_path / "other", ("bad", "bad"))
    with pytest.raises(InvalidInput, match="before fit"):
        make(tiny_bert).save(tmp_path / "other", ("bad", "good"))
    assert not (tmp_path / "other").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_memory_stays_flat_over_ten_rounds(tiny_bert):
    """Counted in models that are alive, which is exact on any device."""
    import gc

    def alive():
        gc.collect()
        return sum(issubclass(type(thing), torch.nn.Linear) for thing in gc.get_objects())

    classifier = make(tiny_bert, min_steps=2)
    counts = []
    for seed in range(10):
        classifier.fit(TEXTS, LABELS, n_classes=2, rng=rng(seed))
        classifier.infer(TEXTS, {Signal.LOG_PROBS, Signal.FEATURES}, representations=("cls",), rng=rng())
        counts.append(alive())
    assert len(set(counts)) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_memory_stays_flat_and_answers_agree_with_the_cpu(tiny_bert):
    classifier = make(tiny_bert, min_steps=2, device="cuda", precision="float32")
    held = []
    for seed in range(10):
        classifier.fit(TEXTS, LABELS, n_classes=2, rng=rng(seed))
        classifier.infer(TEXTS, {Signal.LOG_PROBS}, rng=rng())
        held.append(torch.cuda.memory_allocated())
    assert max(held[1:]) <= held[1] + (1 << 16)
    tokens = tokenize(load_sequence_model(tiny_bert, 2, CPU).encoder, TEXTS, 32)
    there, here = (
        read(load_sequence_model(tiny_bert, 2, torch.device(name), seed=1), tokens, REPRESENTATIONS)
        for name in ("cuda", "cpu")
    )
    torch.testing.assert_close(there.logits, here.logits, atol=1e-3, rtol=1e-3)
    for name in REPRESENTATIONS:
        torch.testing.assert_close(there.representations[name], here.representations[name], atol=1e-3, rtol=1e-3)


def test_what_cannot_be_is_refused(tiny_bert, tmp_path):
    with pytest.raises(InvalidInput, match="no preset named 'papers'; did you mean 'paper'"):
        FinetunedClassifier(preset="papers")
    with pytest.raises(InvalidInput, match="class_weight"):
        FinetunedClassifier(class_weight="heavy")
    with pytest.raises(InvalidInput, match="retries is -1"):
        FinetunedClassifier(retries=-1)
    with pytest.raises(ModelUnavailable, match="no folder"):
        FinetunedClassifier(model=str(tmp_path / "nowhere")).prepare(TEXTS)
    with pytest.raises(InvalidInput, match="reads at most 64 tokens"):
        make(tiny_bert, max_length=128).fit(TEXTS, LABELS, n_classes=2, rng=rng())
