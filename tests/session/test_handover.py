"""The model handed over: which labels it learned, and whether they transfer, by checks neither model learned from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.models.tiny import save_bert

from nearmiss.errors import InvalidInput
from nearmiss.models.transformer import FinetunedClassifier
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.ground import read_ground
from nearmiss.session.handover import TRANSFER, hand_over
from nearmiss.session.origins import Origin, Source
from nearmiss.session.training import Trainer
from nearmiss.session.transfer_report import Transfer, measure_transfer

GOOD, BAD = 1, 2


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("tiny") / "bert")


@pytest.fixture
def films(make_project):
    """A project of 60 texts, good and bad in turn: 12 labels to learn from, then so many random checks."""

    def make(checks, labels=12):
        texts = [f"a {'good' if i % 2 else 'bad'} film {i}" for i in range(1, 61)]
        project = make_project(texts, labels=("good", "bad"), classifier="tfidf", batch=4, audit_share=0.0)
        for item in range(1, 1 + labels + checks):
            origin = Origin(Source.PERSON if item <= labels else Source.AUDIT)
            said = Submission(item, AnswerKind.LABEL, GOOD if item % 2 else BAD)
            project.answers.submit("ann", said, origin)
        return project

    return make


@pytest.fixture
def trained_on(monkeypatch):
    """Write down how many texts each training sees."""
    seen = []
    fit = FinetunedClassifier.fit

    def watched(self, texts, labels, **more):
        seen.append(texts.first)
        fit(self, texts, labels, **more)

    monkeypatch.setattr(FinetunedClassifier, "fit", watched)
    return seen


def options(encoder):
    return {"model": encoder, "epochs": 1, "min_steps": 1, "max_length": 16, "retries": 0}


def test_measured_without_the_checks_then_trained_on_all(films, encoder, trained_on, tmp_path):
    project, steps = films(checks=24), []
    Trainer(project).train()
    handed = hand_over(project, tmp_path / "m", options(encoder), on_step=steps.append)
    texts = project.texts.corpus().first
    assert [set(seen) for seen in trained_on] == [set(texts[:12]), set(texts[:36])]
    assert steps == [
        "fine-tuning on 12 texts, 24 random checks left out",
        "fine-tuning on 36 texts, random checks included",
    ]
    report = handed.report
    assert report.checks == report.compared.n == 24
    assert report.compared.before == project.models.latest().audits_right
    assert report.finetuned_right == report.compared.after
    assert report.verdict in (Transfer.BETTER, Transfer.ALIKE, Transfer.WORSE)
    assert "tfidf, version 1, trained on 12 texts" in report.sentence


def test_the_report_is_in_the_folder_and_on_the_card(films, encoder, tmp_path):
    project = films(checks=24)
    Trainer(project).train()
    handed = hand_over(project, tmp_path / "sub" / "m", options(encoder))
    assert handed.folder == tmp_path / "sub" / "m"
    written = json.loads((handed.folder / TRANSFER).read_text(encoding="utf-8"))
    assert written["verdict"] == handed.report.verdict
    assert written["compared"]["n"] == 24
    card = (handed.folder / "README.md").read_text(encoding="utf-8")
    assert handed.report.sentence in card
    assert "no text is left to measure it by" in card
    assert [path.name for path in handed.folder.parent.iterdir()] == ["m"]  # nothing half made is left


def test_checks_can_be_kept_out(films, encoder, trained_on, tmp_path):
    handed = hand_over(films(checks=24), tmp_path / "m", options(encoder), keep_audits_out=True)
    assert [len(seen) for seen in trained_on] == [12]
    card = (handed.folder / "README.md").read_text(encoding="utf-8")
    assert "Trained on 12 texts" in card
    assert "24 more, drawn at random, were left out" in card
    assert "no text is left to measure it by" not in card


def test_too_few_checks_measure_nothing_and_cost_no_training(films, encoder, trained_on, tmp_path):
    report = hand_over(films(checks=19), tmp_path / "m", options(encoder)).report
    assert [len(seen) for seen in trained_on] == [31]
    assert (report.verdict, report.finetuned_right, report.compared) == (Transfer.NOT_MEASURED, None, None)
    assert "cannot be measured: there are 19 random checks" in report.sentence


def test_labels_that_only_the_checks_make_different(films, encoder, tmp_path):
    project = films(checks=25, labels=1)
    report = hand_over(project, tmp_path / "m", options(encoder)).report
    assert report.verdict is Transfer.NOT_MEASURED
    assert "all labels are the same" in report.sentence
    with pytest.raises(InvalidInput, match=r"1 different labels \(random checks aside\)"):
        hand_over(project, tmp_path / "n", options(encoder), keep_audits_out=True)


def test_a_folder_that_holds_something_and_one_label_are_refused(films, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "x").touch()
    with pytest.raises(InvalidInput, match="holds something already"):
        hand_over(films(checks=0), tmp_path / "m")
    with pytest.raises(InvalidInput, match="1 labelled texts with 1 different labels; label"):
        hand_over(films(checks=0, labels=1), tmp_path / "n")
    assert not (tmp_path / "n").exists()


# ---- the verdict -----------------------------------------------------------------------------------------------------


@pytest.fixture
def judged(films):
    """Measure a fine-tuned model that errs on so many checks against one in use that errs on others."""

    def judge(in_use_errs, finetuned_errs, checks=40):
        project = films(checks=checks)
        facts = Trainer(project).train()
        ground = read_ground(project.database)
        values = np.zeros((60, 2), dtype=np.float32)
        values[np.arange(60), np.arange(60) % 2] = 1
        wrong = ground.audit_rows[:in_use_errs]
        values[wrong] = values[wrong][:, ::-1]
        project.models.write_probabilities(facts.version, values)
        project.models._opened = None
        guesses = ground.audit_classes.copy()
        if finetuned_errs:
            guesses[-finetuned_errs:] = 1 - guesses[-finetuned_errs:]
        return measure_transfer(project, ground, guesses)

    return judge


@pytest.mark.parametrize(
    ("in_use_errs", "finetuned_errs", "verdict", "told"),
    [
        (10, 1, Transfer.BETTER, "answers 39 as people did, the other 30: a difference of +22.5 points"),
        (3, 4, Transfer.ALIKE, "answers 36 as people did, the other 37: a difference of −2.5 points"),
        (0, 9, Transfer.WORSE, "The fine-tuned model is worse"),
        (0, 0, Transfer.ALIKE, "p = 1"),
    ],
)
def test_the_verdict_follows_the_checks_on_which_they_differ(judged, in_use_errs, finetuned_errs, verdict, told):
    report = judged(in_use_errs, finetuned_errs)
    assert report.verdict is verdict
    assert told in report.sentence


def test_without_a_model_in_use_the_new_one_is_measured_alone(films):
    project = films(checks=20)
    ground = read_ground(project.database)
    report = measure_transfer(project, ground, ground.audit_classes)
    assert (report.verdict, report.finetuned_right) == (Transfer.NOT_COMPARED, 20)
    assert "right on 20 of 20 random checks" in report.sentence


def test_checks_that_the_model_in_use_has_not_read_are_left_out(films):
    project = films(checks=30)
    facts = Trainer(project).train()
    project.models.write_probabilities(facts.version, np.full((32, 2), 0.5, dtype=np.float32))
    project.models._opened = None
    ground = read_ground(project.database)
    report = measure_transfer(project, ground, ground.audit_classes)
    assert (report.checks, report.compared.n) == (30, 20)
