"""A text that was looked for says so once it is answered; before, nothing tells it from a random check."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nearmiss.session.origins import Origin, Source
from nearmiss.web.reasons import reason_of

NAMES = {1: "refund", 2: "cancel"}
PICK = Origin(Source.MODEL, "seeds:label=1", 0.4, 3, labels=(2, 1), probabilities=(0.5, 0.45))


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ("seeds:label=1", "Looked for: it lies near the words and examples of “refund”, of which texts were wanted."),
        ("name:label=2", "Looked for: it lies near the name of “cancel”, of which texts were wanted."),
        ("seeds:label=9", "Looked for: it lies near the words and examples of “?”, of which texts were wanted."),
    ],
)
@pytest.mark.parametrize("source", [Source.MODEL, Source.COVER])
def test_afterwards_it_is_told_what_was_looked_for(strategy, told, source):
    reason = reason_of(replace(PICK, source=source, strategy=strategy), NAMES, {}, revealed=True)
    assert reason.sentence == told
    assert strategy in reason.details


@pytest.mark.parametrize("guessed", [True, False])
def test_beforehand_it_is_told_like_a_random_check(guessed):
    pick = PICK if guessed else Origin(Source.COVER, "seeds:label=1")
    check = replace(pick, source=Source.AUDIT, strategy="", score=None)
    assert reason_of(pick, NAMES, {}, revealed=False) == reason_of(check, NAMES, {}, revealed=False)
