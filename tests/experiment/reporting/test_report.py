"""The report as files: whole, self-contained, deterministic, and safe whatever the names."""

import csv
import io
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from nearmiss.experiment.report import rounds_csv, verdict_sentences, write_report, write_rounds
from nearmiss.experiment.reporting.summary import summarize


def test_the_page_holds_every_number(tmp_path, grid, parsed, words):
    result = grid(notes=("The masked-LM head behind ALPS was trained on the spot.",))
    parser = parsed(write_report(result, tmp_path).html)
    page = words(parser)
    summary = summarize(result)
    for function in summary.functions:
        for budget in (200, 260, 320, 380, 440, 500):
            values = 100 * function.accuracy.at(budget)
            assert f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" in page
        areas = 100 * function.accuracy.areas()
        assert f"{areas.mean():.1f} ± {areas.std(ddof=1):.1f}" in page
    for sentence in verdict_sentences(result):
        assert " ".join(sentence.split()) in page
    for fact in ("6,000 texts", "test set of 2,000", "27 runs in 4 min 47 s", "9 functions, 3 seeds", "2.25", "3 MiB"):
        assert fact in page
    assert result.notes[0] in page
    assert " ".join(result.spec.to_toml().split()) in page
    assert "numpy " + np.__version__ in page
    assert parser.tags.count("h1") == 1
    assert parser.tags.count("caption") == parser.tags.count("table") == 6
    assert "capped" not in page


def test_a_capped_pool_is_in_the_title(tmp_path, grid):
    result = grid(max_pool=6000, notes=("pool capped at 6,000 of 9,003 texts, drawn by class",))
    html = write_report(result, tmp_path).html.read_text(encoding="utf-8")
    assert re.search(r"<h1>[^<]*pool capped at 6,000 texts</h1>", html)


def test_the_page_asks_for_nothing_outside(tmp_path, grid, parsed):
    path = write_report(grid(), tmp_path).html
    parser = parsed(path)
    assert not {"script", "iframe", "img", "object", "embed"} & set(parser.tags)
    for name, value in parser.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#)", path.read_text(encoding="utf-8"))


HOSTILE = (
    "random",
    "<script>alert(1)</script>",
    "cal:a=$\\frac{1}$",
    "_hidden & \"quoted\" 'name'",
    "a|b\n--></style>\x07",
)


def test_hostile_names_stay_text(tmp_path, grid, parsed, words, terminal):
    result = grid(strategies=HOSTILE, dataset="</title><img src=x onerror=alert(1)>", notes=("<b>bold</b>",))
    paths = write_report(result, tmp_path)
    parser = parsed(paths.html)
    assert not {"script", "img", "b"} & set(parser.tags)
    assert "<script>alert(1)</script>" in words(parser)
    for text in re.findall(r"<svg.*?</svg>", paths.html.read_text(encoding="utf-8"), flags=re.DOTALL):
        labels = " ".join(ElementTree.fromstring(text).itertext())
        assert "_hidden &" in labels
        assert "\\frac" in labels
    ElementTree.fromstring(paths.figure_svg.read_text(encoding="utf-8"))
    rows = list(csv.DictReader(io.StringIO(paths.rounds_csv.read_bytes().decode(), newline="")))
    assert {row["strategy"] for row in rows} == set(HOSTILE)
    tables = [line for line in paths.table_markdown.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert any(line.startswith("| a\\|b --></style>".replace("<", "&lt;")) for line in tables)
    assert "_hidden" in terminal(result)


def test_the_same_result_gives_the_same_bytes(tmp_path, grid):
    result = grid()
    first = write_report(result, tmp_path / "first")
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.hashsalt": "other", "lines.linewidth": 9}):
        second = write_report(result, tmp_path / "second")
    names = sorted(path.name for path in first.html.parent.iterdir())
    assert names == ["learning_curves.png", "learning_curves.svg", "report.html", "results.csv", "table.md"]
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert second.html.parent == tmp_path / "second"


def test_writing_again_replaces(tmp_path, grid, clear_result):
    write_report(grid(), tmp_path)
    paths = write_report(clear_result(), tmp_path)
    assert "4 functions" in paths.html.read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_the_extra_the_terminal_and_csv_remain(package, tmp_path):
    out = tmp_path / "out"
    script = f"""
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Blocked(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
from nearmiss.errors import MissingExtra
from nearmiss.experiment.records import ExperimentResult, RoundRecord, RoundTiming, RunResult
from nearmiss.experiment.spec import RunKey
from nearmiss.experiment.report import rounds_csv, summary_table, verdict_sentences, write_report, write_rounds
from nearmiss.experiment.spec import ExperimentSpec

record, timing = RoundRecord(0, 10, (0,), 0.5, 0.5, 0.5, 0.1), RoundTiming(0, 0.0, 0.0, 1.0, 0.1, 1)
spec = ExperimentSpec("imdb", ("random",), seeds=(0,), initial=10, budget=20)
result = ExperimentResult(spec, (RunResult(RunKey("random", 0), (record,), (timing,)),), 100, 50)
assert summary_table(result).row_count == 1
assert verdict_sentences(result)
out = Path({str(out)!r})
try:
    write_report(result, out)
except MissingExtra as error:
    print(error)
assert not out.exists()
assert write_rounds(result, out).read_text().startswith("strategy,")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        f"the report needs {package}, which is not installed; mend it with: pip install 'nearmiss[plots]'"
    )


def test_rounds_alone(tmp_path, grid):
    result = grid()
    path = write_rounds(result, tmp_path / "new")
    assert path == tmp_path / "new" / "results.csv"
    assert path.read_text(encoding="utf-8") == rounds_csv(result)
    assert [p.name for p in Path(path.parent).iterdir()] == ["results.csv"]


def test_out_of_domain_and_infinite_loss_are_shown(tmp_path, run, result_of, parsed, words):
    result = result_of(
        [run("random", s, [0.5, 0.6], log_loss=float("inf"), ood={"imdb": 0.7123}) for s in (0, 1)]
        + [run("cal", s, [0.5, 0.6]) for s in (0, 1)]
    )
    page = words(parsed(write_report(result, tmp_path).html))
    assert "Accuracy on imdb" in page
    assert "71.2 ± 0.0" in page
    assert not re.search(r"\binf\b", page)
