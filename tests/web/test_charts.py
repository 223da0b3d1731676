"""Charts: what is drawn where, and that nothing in them is markup or style."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.errors import InvalidInput
from nearmiss.web.charts import CurvePoint, learning_curve, share_bar, swatch
from nearmiss.web.palette import PALETTE, contrast

PAPERS = ("#ffffff", "#f6f5f1", "#1d242c", "#14191f")


def parsed(markup):
    return ElementTree.fromstring(str(markup))


points = st.lists(
    st.builds(
        lambda labels, shares: CurvePoint(labels, *(sorted(shares)[i] for i in (1, 0, 2))),
        st.integers(0, 10**6),
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    ),
    min_size=1,
    max_size=12,
)


@given(points)
def test_every_point_lies_in_its_interval_and_in_the_picture(curve):
    picture = parsed(learning_curve(curve, "Accuracy"))
    dots, whiskers = picture.findall("circle"), picture.findall("line[@class='whisker']")
    assert len(dots) == len(whiskers) == len(curve)
    width, height = (float(value) for value in picture.attrib["viewBox"].split()[2:])
    for dot, whisker in zip(dots, whiskers, strict=True):
        low, high = float(whisker.attrib["y1"]), float(whisker.attrib["y2"])
        assert high - 0.1 <= float(dot.attrib["cy"]) <= low + 0.1
        assert 0 <= float(dot.attrib["cx"]) <= width
        assert 0 <= high <= low <= height


def test_more_labels_lie_further_right_and_more_right_answers_higher():
    picture = parsed(learning_curve([CurvePoint(10, 0.5, 0.4, 0.6), CurvePoint(40, 0.8, 0.7, 0.9)], "A"))
    first, second = picture.findall("circle")
    assert float(first.attrib["cx"]) < float(second.attrib["cx"])
    assert float(first.attrib["cy"]) > float(second.attrib["cy"])


def test_a_picture_tells_itself_in_words():
    picture = parsed(learning_curve([CurvePoint(40, 0.8, 0.7, 0.9)], "Accuracy & more"))
    assert picture.attrib["role"] == "img"
    told = {element.attrib["id"]: element.text for element in picture if "id" in element.attrib}
    assert [told[name] for name in picture.attrib["aria-labelledby"].split()] == [
        "Accuracy & more",
        "From 40 to 40 labels. The last value is 80 %, with a 95 % interval from 70 to 90 %.",
    ]


def test_no_style_stands_in_a_picture():
    for drawn in (learning_curve([CurvePoint(1, 1, 1, 1)], "A"), share_bar(1, "#123456"), swatch("#123456")):
        assert "style" not in drawn


def test_a_color_is_an_attribute_whatever_it_holds():
    assert parsed(swatch('"/><script>')).find("circle").attrib["fill"] == '"/><script>'


@pytest.mark.parametrize("curve", [[], [CurvePoint(1, 1.2, 0.9, 1.3)]])
def test_a_curve_that_cannot_be_drawn_is_refused(curve):
    with pytest.raises(InvalidInput):
        learning_curve(curve, "A")


def test_a_bar_beyond_its_rail_is_refused():
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        share_bar(1.01)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_color_offered_is_clear_on_both_papers(paper):
    assert {name: contrast(color, paper) >= 3 for name, color in PALETTE.items()} == dict.fromkeys(PALETTE, True)


def test_a_color_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="#rrggbb"):
        contrast("#12", "#ffffff")
