"""The benchmarks run and their reports hold what they should; how fast is for a quiet machine to tell."""

import re

import pytest
from tests.models.tiny import save_bert

pytest.importorskip("accelerate")

from benchmarks import finetuning


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("tiny-bert"))


def test_fine_tuning_reports_every_way_and_that_both_read_alike(tiny_bert, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(finetuning, "peak_of", lambda task, way: 3 << 20)
    out = tmp_path / "report.md"
    finetuning.main(["--quick", "--model", tiny_bert, "--max-length", "32", "--out", str(out)])
    report = out.read_text(encoding="utf-8")
    assert report.strip() == capsys.readouterr().out.strip()
    for way in finetuning.WAYS:
        assert re.search(rf"\| {re.escape(way.title)} \| \d+ \| [\d.]+x \| \d+ \| [\d.]+x \| 3 MiB \|", report)
    (difference,) = re.findall(r"differ by at most (\S+) from", report)
    assert float(difference) < 1e-4, "the Trainer reads the saved model as we do"


def test_peak_memory_is_a_number_of_bytes(tiny_bert, capsys):
    asked = (
        f'{{"task": {{"dataset": "banking77", "model": "{tiny_bert}", "max_length": 32, "n_train": 8, "n_read": 8}}, '
    )
    finetuning.main(["--peak", asked + '"ours": true, "way": {}}'])
    assert int(capsys.readouterr().out) > 50 << 20
