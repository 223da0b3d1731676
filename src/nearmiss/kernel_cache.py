"""How many compiled kernels torch keeps for later."""

from __future__ import annotations

import os

__all__ = ["keep_few_kernels"]


def keep_few_kernels() -> None:
    """Have oneDNN keep few kernels: texts come in many lengths, and a thousand kernels are 600 MB that buy no speed.

    Torch reads this when it first needs a kernel, and worker processes inherit it; whoever sets it otherwise is heeded.

    Examples
    --------
    >>> keep_few_kernels()
    >>> int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) > 0
    True
    """
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, "32")
