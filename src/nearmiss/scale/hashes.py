"""Names made of content: what two of the same name have in common is everything that matters."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

__all__ = ["content_hash", "hash_of"]


def content_hash(*parts: bytes) -> str:
    """Hash parts of any length into 32 hex digits; where one ends and the next begins counts.

    Examples
    --------
    >>> content_hash(b"ab", b"c") == content_hash(b"a", b"bc")
    False
    """
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def hash_of(*parts: str | npt.NDArray[np.generic] | None) -> str:
    """Hash texts and arrays: of an array its form and its numbers.

    Examples
    --------
    >>> hash_of("cal", np.eye(2)) == hash_of("cal", np.eye(2, dtype=np.float32))
    False
    """
    written: list[bytes] = []
    for part in parts:
        if isinstance(part, np.ndarray):
            written += [f"{part.dtype.str}{part.shape}".encode(), np.ascontiguousarray(part).tobytes()]
        else:
            written.append(repr(part).encode())
    return content_hash(*written)
