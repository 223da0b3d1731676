"""Task-adaptive pretraining: what it learns, that it can be stopped anywhere, and what it refuses."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.models.tiny import SIZE, save, save_bert, save_masked_bert, save_masked_distilbert, save_masked_roberta
from transformers import AutoModelForMaskedLM, DistilBertConfig, DistilBertModel

from nearmiss.errors import InvalidInput, ModelUnavailable, NearmissError, RunConflict
from nearmiss.models.adaptable import load_adaptable
from nearmiss.models.adaptation import AdaptationSettings, adapt
from nearmiss.models.encoder import find_model, load_encoder
from nearmiss.models.frozen import FrozenClassifier
from nearmiss.models.masked_lm import MaskedLanguageModel
from nearmiss.models.masking import MaskedBatches, like_length_batches, summed_loss
from nearmiss.models.tokens import tokenize
from nearmiss.text.corpus import Texts

SHORT = AdaptationSettings(steps=12, max_length=32, tokens_per_batch=128, learning_rate=5e-3, precision="float32")


@pytest.fixture(scope="module")
def films():
    """Two hundred texts in which a word tells the next."""
    rng = np.random.default_rng(1)
    halves = ("the good film was fine", "a bad plot of rain", "north of the actor")
    return Texts(tuple(" ".join(rng.choice(halves, size=size)) for size in rng.integers(1, 5, 200)))


def weights(folder):
    return (Path(folder) / "model.safetensors").read_bytes()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def test_every_text_is_in_one_batch_an_epoch_and_batches_keep_their_budget():
    lengths = np.random.default_rng(0).integers(3, 40, 500)
    counts = set()
    for seed in range(3):
        groups = like_length_batches(lengths, 100, np.random.default_rng(seed))
        counts.add(len(groups))
        assert sorted(np.concatenate(groups)) == list(range(500))
        assert all(len(group) * lengths[group].max() <= 100 for group in groups)
    assert len(counts) == 1  # a step's epoch follows from its number


def test_a_text_longer_than_the_budget_travels_alone():
    groups = like_length_batches(np.array([50, 2, 2]), 10, np.random.default_rng(0))
    assert sorted(len(group) for group in groups) == [1, 2]


def batches_of(encoder, texts, seed=4):
    return MaskedBatches(encoder, tokenize(encoder, texts, 32), tokens_per_batch=128, mask_fraction=0.15, seed=seed)


def test_a_batch_follows_from_the_seed_and_the_step_alone(tiny_bert, films):
    encoder = load_encoder(tiny_bert, "cpu")
    one, other = batches_of(encoder, films), batches_of(encoder, films)
    wanted = [one.batch(step) for step in range(2 * one.per_epoch)]
    for step in (len(wanted) - 1, 0, one.per_epoch):
        again = other.batch(step)
        assert torch.equal(again.chosen, wanted[step].chosen)
        assert torch.equal(again.inputs["input_ids"], wanted[step].inputs["input_ids"])
    assert any(not torch.equal(a.targets, b.targets) for a, b in zip(wanted, wanted[one.per_epoch :], strict=False))


def test_masks_fall_on_words_and_are_drawn_as_bert_draws_them(tiny_bert, films):
    encoder = load_encoder(tiny_bert, "cpu")
    batches = batches_of(encoder, films)
    hidden = kept = total = words = 0
    for step in range(4 * batches.per_epoch):
        batch = batches.batch(step)
        ids = batch.inputs["input_ids"]
        assert not torch.isin(batch.targets, torch.tensor([0, 2, 3])).any()  # [PAD], [CLS], [SEP]
        assert not (batch.chosen & (batch.inputs["attention_mask"] == 0)).any()
        shown = ids[batch.chosen]
        hidden += int((shown == 4).sum())
        kept += int((shown == batch.targets).sum())
        total += len(shown)
        words += int((batch.inputs["attention_mask"].sum(1) - 2).sum())
    assert hidden / total == pytest.approx(0.8, abs=0.05)
    assert kept / total == pytest.approx(0.1, abs=0.04)
    assert total / words == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize("build", [save_masked_bert, save_masked_distilbert, save_masked_roberta])
def test_the_loss_is_that_of_the_full_projection(build, tmp_path, films):
    folder = build(tmp_path)
    encoder = load_encoder(folder, "cpu")
    loaded = load_adaptable(find_model(folder), encoder)
    assert not loaded.headless
    loaded.whole.eval()
    batch = batches_of(encoder, films).batch(1)
    labels = torch.full_like(batch.inputs["input_ids"], -100)
    labels[batch.chosen] = batch.targets
    with torch.no_grad():
        ours = summed_loss(loaded.transformer, loaded.head, batch, half=False) / len(batch.targets)
        reference = AutoModelForMaskedLM.from_pretrained(folder).eval()(**batch.inputs, labels=labels).loss
    assert float(ours) == pytest.approx(float(reference), rel=1e-5)


@pytest.mark.parametrize("build", [save_bert, save_masked_bert, save_masked_distilbert, save_masked_roberta])
def test_the_loss_falls_and_the_folder_is_an_ordinary_model(build, tmp_path, films):
    base, out = build(tmp_path / "base"), tmp_path / "out"
    seen = []
    report = adapt(
        films, out, np.random.default_rng(0), name=base, settings=SHORT, device="cpu", on_progress=seen.append
    )
    assert report.loss_after < report.loss_before
    assert (report.steps, report.n_texts, report.n_held_out) == (12, 180, 20)
    assert [each.step for each in seen] == list(range(1, 13))
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "adaptation.json", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert f"{report.loss_after:.3f}" in (out / "README.md").read_text()
    assert MaskedLanguageModel.load(str(out), max_length=32).surprisal(films, np.random.default_rng(0)).shape[0] == 200
    classifier = FrozenClassifier(model=str(out), max_length=32, cache_dir=tmp_path / "cache")
    classifier.fit(films.take(range(40)), np.arange(40) % 2, n_classes=2, rng=np.random.default_rng(0))


@pytest.mark.parametrize("build", [save_bert, save_masked_distilbert, save_masked_roberta])
def test_what_is_saved_is_what_was_measured(build, tmp_path, films):
    base, settings = build(tmp_path / "base"), AdaptationSettings(steps=2, max_length=32, learning_rate=5e-3)
    first = adapt(films, tmp_path / "a", np.random.default_rng(0), name=base, settings=settings, device="cpu")
    second = adapt(
        films, tmp_path / "b", np.random.default_rng(0), name=str(tmp_path / "a"), settings=settings, device="cpu"
    )
    assert second.loss_before == pytest.approx(first.loss_after, rel=1e-6)
    assert second.loss_after < second.loss_before


def test_the_whole_encoder_is_trained_and_the_base_is_left_alone(tmp_path, films):
    base, out = save_bert(tmp_path / "base"), tmp_path / "out"
    before = weights(base)
    adapt(films, out, np.random.default_rng(0), name=base, settings=SHORT, device="cpu")
    old, new = (dict(load_encoder(str(f), "cpu").model.named_parameters()) for f in (base, out))
    assert weights(base) == before
    for name, value in new.items():
        assert torch.equal(value, old[name]) == name.startswith("pooler."), name
    # the base had a pooler: its tensors travel along, unchanged
    assert "bert.pooler.dense.weight" in load_file(out / "model.safetensors")


def test_a_base_without_a_pooler_gets_none(tmp_path, films):
    out = tmp_path / "out"
    adapt(films, out, np.random.default_rng(0), name=save_masked_bert(tmp_path / "b"), settings=SHORT, device="cpu")
    assert load_encoder(str(out), "cpu").model.pooler is None


def test_a_checkpoint_of_another_form_without_a_head_gets_one(tmp_path, films):
    config = DistilBertConfig(**SIZE, dim=32, n_layers=2, n_heads=4, hidden_dim=48)
    base = save(tmp_path / "base", DistilBertModel, config)
    report = adapt(films, tmp_path / "out", np.random.default_rng(0), name=base, settings=SHORT, device="cpu")
    assert report.loss_after < report.loss_unigram + 0.5
    MaskedLanguageModel.load(str(tmp_path / "out"), max_length=32)


def test_same_seed_same_bits_and_the_global_generator_stays(tmp_path, tiny_bert, films):
    dropping = AdaptationSettings(steps=6, max_length=32, tokens_per_batch=128, dropout=0.2)
    before = torch.random.get_rng_state()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        adapt(films, tmp_path / name, np.random.default_rng(seed), name=tiny_bert, settings=dropping, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")
    assert (tmp_path / "a" / "README.md").read_text() == (tmp_path / "b" / "README.md").read_text()


@pytest.mark.parametrize("save_seconds", [0.0, 1e9])  # a state after every step, or the first alone
def test_stopped_at_any_step_it_goes_on_to_the_same_bits(tmp_path, tiny_bert, films, save_seconds):
    dropping = AdaptationSettings(steps=9, max_length=32, tokens_per_batch=128, dropout=0.2)
    asked = {"name": tiny_bert, "settings": dropping, "device": "cpu", "save_seconds": save_seconds}
    whole = adapt(films, tmp_path / "whole", np.random.default_rng(0), **asked)
    for stops in ((1,), (3, 9)):
        out = tmp_path / f"stopped-{len(stops)}-{stops[0]}"
        for stop in stops:

            def interrupt(progress, stop=stop):
                if progress.step == stop:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                adapt(films, out, np.random.default_rng(0), **asked, on_progress=interrupt)
            assert not (out / "config.json").exists()
        seen = []
        resumed = adapt(films, out, np.random.default_rng(0), **asked, on_progress=seen.append)
        assert weights(out) == weights(tmp_path / "whole")
        assert (resumed.loss_before, resumed.loss_after) == (whole.loss_before, whole.loss_after)
        assert seen[0].resumed_at == (stops[-1] - 1 if save_seconds == 0 else 0)
        assert not (out / "unfinished").exists()


@pytest.mark.slow
def test_killed_by_force_it_goes_on_to_the_same_bits(tmp_path, tiny_bert, films):
    program = f"""
import numpy as np, sys, time, torch
torch.set_num_threads(1)
from nearmiss.models.adaptation import AdaptationSettings, adapt
from nearmiss.text.corpus import Texts
def tell(progress):
    print(progress.step, flush=True)
    time.sleep(0.05)
adapt(Texts({films.first!r}), sys.argv[1], np.random.default_rng(0), name={tiny_bert!r}, device="cpu", save_seconds=0,
      settings=AdaptationSettings(steps=24, max_length=32, tokens_per_batch=128, dropout=0.1), on_progress=tell)
"""
    out = tmp_path / "killed"
    with subprocess.Popen([sys.executable, "-c", program, str(out)], stdout=subprocess.PIPE, text=True) as process:
        for _ in range(6):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert not (out / "config.json").exists()
    settings = AdaptationSettings(steps=24, max_length=32, tokens_per_batch=128, dropout=0.1)
    asked, seen = {"name": tiny_bert, "settings": settings, "device": "cpu"}, []
    adapt(films, out, np.random.default_rng(0), **asked, on_progress=seen.append)
    assert seen[0].resumed_at >= 4
    adapt(films, tmp_path / "whole", np.random.default_rng(0), **asked)
    assert weights(out) == weights(tmp_path / "whole")


def test_what_is_finished_is_not_done_again(tmp_path, tiny_bert, films):
    asked = {"name": tiny_bert, "settings": SHORT, "device": "cpu"}
    first = adapt(films, tmp_path / "out", np.random.default_rng(0), **asked)
    written = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    (tmp_path / "out" / "unfinished").mkdir()  # as a kill right after the mark leaves it
    steps = []
    again = adapt(films, tmp_path / "out", np.random.default_rng(0), **asked, on_progress=steps.append)
    assert again == first
    assert not steps
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == written
    assert not (tmp_path / "out" / "unfinished").exists()


@pytest.mark.parametrize("finished", [True, False])
def test_another_adaptation_is_not_touched(tmp_path, tiny_bert, tiny_masked_bert, films, finished):
    out = tmp_path / "out"

    def stop(_):
        raise KeyboardInterrupt

    try:
        adapt(films, out, np.random.default_rng(0), name=tiny_bert, settings=SHORT, device="cpu",
              on_progress=None if finished else stop)  # fmt: skip
    except KeyboardInterrupt:
        assert not finished
    before = contents(out)
    longer = AdaptationSettings(steps=13, max_length=32, tokens_per_batch=128, learning_rate=5e-3, precision="float32")
    for texts, seed, name, settings, told in (
        (films.take(range(199)), 0, tiny_bert, SHORT, "n_texts 200, now 199"),
        (films, 1, tiny_bert, SHORT, "seed"),
        (films, 0, tiny_masked_bert, SHORT, "model"),
        (films, 0, tiny_bert, longer, "steps 12, now 13"),
    ):
        with pytest.raises(RunConflict, match=told):
            adapt(texts, out, np.random.default_rng(seed), name=name, settings=settings, device="cpu")
    assert contents(out) == before


def test_a_folder_with_other_files_and_a_file_are_refused(tmp_path, tiny_bert, films):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "adaptation.json").write_text("{")
    for name, told in (("mine", "other files"), ("file", "is a file"), ("torn", "is damaged")):
        with pytest.raises(RunConflict, match=told):
            adapt(films, tmp_path / name, np.random.default_rng(0), name=tiny_bert, settings=SHORT, device="cpu")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_two_at_once_are_refused(tmp_path, tiny_bert, films):
    asked = {"name": tiny_bert, "settings": SHORT, "device": "cpu"}

    def meanwhile(progress):
        if progress.step == 2:
            with pytest.raises(RunConflict, match="another process"):
                adapt(films, tmp_path / "out", np.random.default_rng(0), **asked)

    adapt(films, tmp_path / "out", np.random.default_rng(0), **asked, on_progress=meanwhile)


@pytest.mark.parametrize("count, words", [(19, "good film"), (200, " ")])
def test_too_few_texts_are_refused(tmp_path, tiny_bert, count, words):
    texts, asked = Texts((words,) * count), {"name": tiny_bert, "settings": SHORT, "device": "cpu"}
    with pytest.raises(InvalidInput, match="too few"):
        adapt(texts, tmp_path / "out", np.random.default_rng(0), **asked)
    assert not (tmp_path / "out").exists()


def test_a_length_beyond_the_model_is_refused(tmp_path, tiny_bert, films):
    with pytest.raises(InvalidInput, match="at most 64"):
        adapt(films, tmp_path / "out", np.random.default_rng(0), name=tiny_bert, device="cpu")


def test_odd_texts_and_pairs_are_read(tmp_path, tiny_bert, assorted):
    pairs = Texts(assorted.first, assorted.first[::-1])
    for name, texts in (("odd", assorted), ("pairs", pairs)):
        settings = AdaptationSettings(steps=3, max_length=32)
        report = adapt(texts, tmp_path / name, np.random.default_rng(0), name=tiny_bert, settings=settings)
        assert np.isfinite(report.loss_after)


def test_a_tokenizer_without_a_mask_is_refused(tmp_path, films):
    base = Path(save_bert(tmp_path / "base"))
    told = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps(told | {"mask_token": None}))
    with pytest.raises(ModelUnavailable, match=r"\[MASK\]"):
        adapt(films, tmp_path / "out", np.random.default_rng(0), name=str(base), device="cpu")


def test_a_full_disk_leaves_the_last_state_and_no_half_model(tmp_path, tiny_bert, films, monkeypatch):
    asked = {"name": tiny_bert, "settings": SHORT, "device": "cpu"}
    out = tmp_path / "out"

    def full(self, folder, **_):
        Path(folder, "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("transformers.PreTrainedModel.save_pretrained", full)
        with pytest.raises(NearmissError, match="No space left"):
            adapt(films, out, np.random.default_rng(0), **asked)
    assert sorted(path.name for path in out.rglob("*")) == [
        "adaptation.json",
        "lock",
        "state.safetensors",
        "unfinished",
    ]
    adapt(films, out, np.random.default_rng(0), **asked)
    assert (out / "config.json").exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 0}, {"steps": 0}, {"min_steps": 0}, {"learning_rate": 0.0}, {"warmup": 2.0}, {"dropout": 1.0},
        {"mask_fraction": 0.0}, {"held_out": 1.0}, {"weight_decay": -1.0}, {"max_length": 4}, {"precision": "half"},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changed):
    with pytest.raises(InvalidInput, match=next(iter(changed))):
        AdaptationSettings(**changed)


def test_few_texts_are_gone_over_more_often():
    assert AdaptationSettings().total_steps(per_epoch=10) == 300
    assert AdaptationSettings().total_steps(per_epoch=1000) == 3000
    assert AdaptationSettings(steps=7).total_steps(per_epoch=1000) == 7
