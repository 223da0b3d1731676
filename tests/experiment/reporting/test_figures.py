"""The figures: colours, names at line ends, and what stands in the SVG."""

import numpy as np
import pytest

from nearmiss.experiment.report import write_report
from nearmiss.experiment.reporting import figures, series
from nearmiss.experiment.reporting.rendering import PALETTE
from nearmiss.experiment.reporting.summary import summarize


def test_colours_are_the_pages_and_names_are_left_alone(tmp_path, grid):
    name = f"f{PALETTE['series-0'].light}"
    html = write_report(grid(strategies=("random", name, "cal")), tmp_path).html.read_text(encoding="utf-8")
    assert "var(--series-0)" in html
    assert "var(--series-reference)" in html
    assert name in html
    for ink in PALETTE.values():
        assert f"stroke: {ink.light}" not in html
    assert len({ink.light for ink in PALETTE.values()}) == len({ink.dark for ink in PALETTE.values()}) == len(PALETTE)


def contrast(first, second):
    def luminance(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("role", [role for role in PALETTE if role.startswith("series-") or role.endswith("text")])
def test_lines_and_text_stand_out_on_both_pages(role):
    needed = 4.5 if role.endswith("text") else 3.0
    assert contrast(PALETTE[role].light, PALETTE["figure-page"].light) >= needed
    assert contrast(PALETTE[role].dark, PALETTE["figure-page"].dark) >= needed


def test_more_functions_than_colours_still_differ(grid):
    names = ("random", *(f"strategy-{i}" for i in range(len(series.LOOKS) + 1)))
    summary = summarize(grid(strategies=names, n_rounds=2))
    assert len(set(series.LOOKS)) == 3 * len(series.SERIES)
    assert len(figures.learning_curves(summary).axes[0].lines) == 2 * len(names)


def test_labels_at_line_ends_keep_apart_in_order():
    placed = figures._spread([0.5, 0.99, 1.0, 0.98, 0.1], 0.1)
    ordered = sorted(placed)
    assert min(np.diff(ordered)) >= 0.1 - 1e-9
    assert (placed[4], placed[0]) == (0.1, 0.5)
    assert placed[3] < placed[1] < placed[2] == pytest.approx(1.0)


def test_labels_that_cannot_fit_are_centred():
    assert np.mean(figures._spread([0.9] * 30, 0.1)) == pytest.approx(0.5)
