"""Texts: their digests, which name every cache, and how lists of them are cut and joined."""

import numpy as np
import pytest

from nearmiss.errors import InvalidData
from nearmiss.text.corpus import Texts

SINGLE = Texts(("good film", "", "\ud800 é", "good film"))
PAIRS = Texts(("ab", "a"), ("c", "bc"))


def fresh(texts):
    """The same texts, of which nothing has been hashed."""
    return Texts(texts.first, texts.second)


def test_digests_are_what_caches_on_disk_are_named_by():
    assert SINGLE.digests == (
        "befee3857de89c418596831f6a568f89",
        "c804ce198ec337e3dc762bdd1a09aece",
        "47fd9b54fb9087959e8faa8442cc7077",
        "befee3857de89c418596831f6a568f89",
    )
    assert PAIRS.digests == ("6fcd2db27e9af3085d79494eaf8cf62a", "bf754d7cf21145a26cb787141d108e1c")


@pytest.mark.parametrize("texts", [SINGLE, PAIRS])
@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("positions", [[], [1, 0, 1], range(2), np.array([-1, 0])])
def test_what_is_taken_stands_in_the_order_asked_for(texts, hashed, positions):
    source = fresh(texts)
    assert not hashed or source.digests
    taken = source.take(positions)
    assert taken.first == tuple(texts.first[i] for i in positions)
    assert taken.second == (None if texts.second is None else tuple(texts.second[i] for i in positions))
    assert taken.digests == fresh(taken).digests


@pytest.mark.parametrize("texts", [SINGLE, PAIRS])
@pytest.mark.parametrize("hashed", [(), (0,), (0, 1)])
def test_joined_texts_follow_one_another(texts, hashed):
    parts = texts.take([1, 0]), fresh(texts)
    for i in hashed:
        assert parts[i].digests
    joined = parts[0].joined(parts[1])
    assert joined == texts.take([1, 0, *range(len(texts))])
    assert joined.digests == fresh(joined).digests


def test_pairs_and_single_texts_do_not_join():
    with pytest.raises(InvalidData, match="partner"):
        SINGLE.joined(PAIRS)
