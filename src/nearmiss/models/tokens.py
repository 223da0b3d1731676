"""Texts as token ids: end to end in flat arrays, cut at a length, with pairs told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nearmiss.errors import InvalidInput
from nearmiss.models.encoder import Encoder
from nearmiss.text.corpus import Texts

__all__ = ["Tokens", "tokenize"]

_TOKENIZED_AT_ONCE = 2048
_Item = TypeVar("_Item", np.int32, np.int8, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Token ids of n texts, end to end.

    Attributes
    ----------
    ids
        Vocabulary ids, shape (T,), int32.
    segments
        0 in the first text of a pair and 1 in its partner, shape (T,), int8.
    special
        Whether the token was added by the tokenizer ([CLS], [SEP]), shape (T,).
    offsets
        Text i owns positions offsets[i] to offsets[i + 1], shape (n + 1,).
    """

    ids: npt.NDArray[np.int32]
    segments: npt.NDArray[np.int8]
    special: npt.NDArray[np.bool_]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of tokens of each text, shape (n,)."""
        return np.diff(self.offsets)

    def take(self, positions: npt.NDArray[np.int64]) -> Tokens:
        """Copy the tokens of these texts, in this order.

        Examples
        --------
        >>> flags = np.zeros(3, np.bool_)
        >>> tokens = Tokens(np.array([7, 8, 9], np.int32), np.zeros(3, np.int8), flags, np.array([0, 1, 3]))
        >>> tokens.take(np.array([1, 0])).ids
        array([8, 9, 7], dtype=int32)
        """
        lengths = self.lengths[positions]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        flat = np.repeat(self.offsets[positions] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Tokens(self.ids[flat], self.segments[flat], self.special[flat], offsets)


def tokenize(encoder: Encoder, texts: Texts, max_length: int) -> Tokens:
    """Turn texts, or pairs, into token ids, cut at ``max_length`` tokens.

    Raises
    ------
    InvalidInput
        ``max_length`` exceeds what the model can read.

    Examples
    --------
    >>> from nearmiss.models.encoder import load_encoder
    >>> tokens = tokenize(load_encoder("minilm", "cpu"), Texts(("good film", "bad"), ("yes", "no")), 128)
    >>> tokens.lengths, tokens.segments
    (array([6, 5]), array([0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1], dtype=int8))
    """
    if max_length > encoder.max_tokens:
        raise InvalidInput(
            f"max_length is {max_length}, but {encoder.name} reads at most {encoder.max_tokens} tokens; "
            f"ask for at most {encoder.max_tokens}"
        )
    segments: list[npt.NDArray[np.int8]] = [np.empty(0, dtype=np.int8)]
    special: list[npt.NDArray[np.bool_]] = [np.empty(0, dtype=np.bool_)]
    flat: list[npt.NDArray[np.int32]] = [np.empty(0, dtype=np.int32)]
    lengths: list[int] = []
    for start in range(0, len(texts), _TOKENIZED_AT_ONCE):  # Python lists of ids are 10 times as large as arrays
        stop = start + _TOKENIZED_AT_ONCE
        encoding = encoder.tokenizer(
            [_valid_unicode(text) for text in texts.first[start:stop]],
            None if texts.second is None else [_valid_unicode(text) for text in texts.second[start:stop]],
            truncation=True,
            max_length=max_length,
            padding=False,
            return_token_type_ids=True,
            return_special_tokens_mask=True,
            return_attention_mask=False,
        )
        lengths.extend(len(ids) for ids in encoding["input_ids"])
        flat.append(_concatenated(encoding["input_ids"], np.int32))
        segments.append(_concatenated(encoding["token_type_ids"], np.int8))
        special.append(_concatenated(encoding["special_tokens_mask"], np.bool_))
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    return Tokens(np.concatenate(flat), np.concatenate(segments), np.concatenate(special), offsets)


def _concatenated(rows: Sequence[Sequence[int]], dtype: type[_Item]) -> npt.NDArray[_Item]:
    return np.fromiter(chain.from_iterable(rows), dtype=dtype)


def _valid_unicode(text: str) -> str:
    # A lone surrogate, as broken JSON escapes leave behind, is no valid UTF-8 and the tokenizer would refuse it.
    return text.encode("utf-8", "replace").decode("utf-8")
