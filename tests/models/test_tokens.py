"""Token ids: what the tokenizer says, end to end."""

import pytest

from nearmiss.errors import InvalidInput
from nearmiss.models.encoder import load_encoder
from nearmiss.models.tokens import tokenize
from nearmiss.text.corpus import Texts


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return load_encoder(tiny_bert, "cpu")


def test_agrees_with_the_tokenizer_text_by_text(encoder, assorted):
    tokens = tokenize(encoder, assorted, 16)
    for i, text in enumerate(assorted.first):
        part = slice(tokens.offsets[i], tokens.offsets[i + 1])
        expected = encoder.tokenizer(text.replace("\ud800", "?"), truncation=True, max_length=16)
        assert tokens.ids[part].tolist() == expected["input_ids"]
        assert tokens.special[part].tolist() == [j in (2, 3) for j in expected["input_ids"]]
    assert tokens.lengths.max() == 16
    assert len(tokens) == len(assorted)


def test_pairs_have_two_segments_and_the_longer_half_loses_first(encoder):
    tokens = tokenize(encoder, Texts(("good " * 50, "bad"), ("the film", "plot")), 12)
    assert tokens.lengths.tolist() == [12, 5]
    assert tokens.segments[:12].tolist() == [0] * 9 + [1] * 3
    assert tokens.segments[12:].tolist() == [0, 0, 0, 1, 1]


def test_no_texts_give_no_tokens(encoder):
    assert tokenize(encoder, Texts(()), 16).offsets.tolist() == [0]


def test_more_than_the_model_can_read_is_refused(encoder):
    with pytest.raises(InvalidInput, match=r"max_length is 65.*at most 64"):
        tokenize(encoder, Texts(("good",)), 65)
