"""`nearmiss adapt`: a file or a dataset in, a model folder out; what is told and what is refused."""

import json

import numpy as np
import pytest
from tests.models.tiny import save_bert

from nearmiss.models.adaptation_settings import AdaptationSettings
from nearmiss.models.encoder import load_encoder
from nearmiss.models.masked_lm import MaskedLanguageModel

SHORT = ("--steps", "4", "--max-length", "32", "--device", "cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture
def pool(tmp_path):
    path = tmp_path / "pool.csv"
    rng = np.random.default_rng(0)
    words = ("good film", "bad plot", "rain of the north", "the actor was fine")
    lines = [f'"{" ".join(rng.choice(words, 3))}",{i}' for i in range(60)]
    path.write_text("review,year\n" + "\n".join(lines) + "\n")
    return path


def test_a_file_becomes_a_model(nearmiss, pool, model, tmp_path):
    out = tmp_path / "adapted"
    outcome = nearmiss("adapt", pool, "--model", model, "--out", out, *SHORT)
    assert outcome.code == 0, outcome.err
    assert "text column: 'review' (guessed)" in outcome.err
    assert "step 4 of 4: loss" in outcome.out
    assert "masked-LM loss on 6 held-out texts" in outcome.out
    assert str(out) in outcome.out
    assert load_encoder(str(out), "cpu").hidden_size == 32
    MaskedLanguageModel.load(str(out), max_length=32)


def test_a_dataset_gives_its_pool(nearmiss, model, tmp_path):
    out = tmp_path / "adapted"
    outcome = nearmiss("adapt", "banking77", "--max-texts", 90, "--model", model, "--out", out, *SHORT)
    assert outcome.code == 0, outcome.err
    assert "pool capped at 90" in outcome.err
    assert json.loads((out / "adaptation.json").read_text())["report"]["n_texts"] == 81


def test_the_same_command_again_says_the_same_at_once(nearmiss, pool, model, tmp_path):
    command = ("adapt", pool, "--max-texts", 40, "--model", model, "--out", tmp_path / "adapted", *SHORT)
    first, second = nearmiss(*command), nearmiss(*command)
    assert "40 of 60 texts drawn" in first.err
    assert second.code == 0
    assert second.out.splitlines()[-2:] == first.out.splitlines()[-2:]
    assert "step" not in second.out.splitlines()[0]


def test_interrupted_it_says_so_and_goes_on(nearmiss, pool, model, tmp_path, monkeypatch):
    from nearmiss.models import adaptation

    command = ("adapt", pool, "--model", model, "--out", tmp_path / "adapted", *SHORT)
    whole = adaptation.adapt

    def interrupted(texts, out, rng, *, on_progress, **asked):
        def stop(progress):
            if progress.step == 3:
                raise KeyboardInterrupt

        return whole(texts, out, rng, **asked, save_seconds=0, on_progress=stop)

    with monkeypatch.context() as patched:
        patched.setattr(adaptation, "adapt", interrupted)
        outcome = nearmiss(*command)
    assert outcome.code == 130
    assert "goes on from the last saved state" in outcome.err
    outcome = nearmiss(*command)
    assert outcome.code == 0
    assert "going on from step 2 of 4" in outcome.out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--max-texts", "10"), "10 texts with words are too few"),
        (("--max-texts", "0"), "at least 1"),
        (("--epochs", "0"), "epochs is 0"),
        (("--epochs", "2", "--steps", "4"), "give one of them"),
        (("--max-length", "65"), "at most 64"),
        (("--text-column", "body"), "body"),
        (("--model", "./nowhere"), "no folder nowhere"),
        (("--device", "abacus"), "abacus"),
    ],
)
def test_refusals_leave_nothing_behind(nearmiss, pool, model, tmp_path, arguments, message):
    out = tmp_path / "adapted"
    start = ("adapt", pool, "--out", out, *(() if "--model" in arguments else ("--model", model)))
    short = () if {"--epochs", "--max-length"} & set(arguments) else SHORT
    outcome = nearmiss(*start, *short, *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not out.exists()


@pytest.mark.parametrize("name, message", [("no-such-dataset", "no-such-dataset"), ("./missing.csv", "missing.csv")])
def test_what_is_not_there_is_refused(nearmiss, model, tmp_path, name, message):
    outcome = nearmiss("adapt", name, "--model", model, "--out", tmp_path / "adapted", *SHORT)
    assert outcome.code == 2
    assert message in outcome.err


def test_the_flags_have_the_defaults_of_the_library(nearmiss, pool, model, tmp_path, monkeypatch):
    """Written twice, for a flag's default must be known before torch is: they must not come apart."""
    out = tmp_path / "out"
    settings = []

    def note(*arguments, **options):
        settings.append(options["settings"])
        raise KeyboardInterrupt

    monkeypatch.setattr("nearmiss.models.adaptation.adapt", note)
    assert nearmiss("adapt", pool, "--model", model, "--out", out).code == 130
    assert settings == [AdaptationSettings()]
