"""Random streams that depend on what they are for, never on what was drawn before.

A run that stops after round 3 and a run that never stopped draw the same numbers in round 4, because each round's
generator is made from the run's names alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

__all__ = ["Streams", "named_generator"]


def named_generator(*names: str | int) -> np.random.Generator:
    """Make the generator that belongs to these names, the same in every process and on every machine.

    Examples
    --------
    >>> first, again = named_generator("dbpedia", 0, "initial"), named_generator("dbpedia", 0, "initial")
    >>> bool(first.integers(1000) == again.integers(1000))
    True
    """
    digest = blake2b(digest_size=16)
    for name in names:
        raw = repr(name).encode("utf-8", "surrogatepass")  # repr tells 1 from "1"
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(digest.digest(), "little")))


@dataclass(frozen=True, slots=True)
class Streams:
    """The generators of one run.

    Attributes
    ----------
    dataset, strategy, seed
        What names the run.
    """

    dataset: str
    strategy: str
    seed: int

    def shared(self, purpose: str, round_index: int = 0) -> np.random.Generator:
        """Give a stream that all strategies share: the initial set, the training of round r.

        Common random numbers: with the same seed, strategies differ by what they acquired and by nothing else.
        """
        return named_generator(self.dataset, self.seed, round_index, purpose)

    def own(self, purpose: str, round_index: int) -> np.random.Generator:
        """Give a stream of this strategy alone: the ties and draws of its selection."""
        return named_generator(self.dataset, self.strategy, self.seed, round_index, purpose)
