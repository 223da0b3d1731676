"""What the hardware can do at best: matrix products and reading memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import fast_bfloat16

__all__ = ["FLOAT32", "LABELS", "best_gemm", "measured", "measured_on_gpu"]

#: Products of one precision, whoever makes them.
FLOAT32 = ("float32-numpy", "float32-torch", "float32-gpu")
LABELS = {
    "float32-numpy": "float32 matrix product, NumPy, GFLOP/s",
    "float32-torch": "float32 matrix product, torch, GFLOP/s",
    "bfloat16-torch": "bfloat16 matrix product, torch, GFLOP/s",
    "float32-gpu": "float32 matrix product on the GPU, no TF32, torch, GFLOP/s",
    "read": "reading memory, GB/s",
}


def measured(quick: bool) -> dict[str, float]:
    """Measure the limits, the best of several repeats of each."""
    # A square product, and one shaped as a block of pool rows against 8,192 labelled rows.
    shapes = [(2048, 2048, 2048)] if quick else [(4096, 4096, 4096), (4096, 768, 8192)]
    limits: dict[str, float] = {}
    for shape in shapes:
        for name, gflops in _gemm(shape, repeats=3).items():
            limits[name] = max(limits.get(name, 0.0), gflops)
    limits["read"] = _read(2**26 if quick else 2**27)
    return limits


def measured_on_gpu(quick: bool, device: str = "cuda") -> dict[str, float]:
    """Measure the same of a GPU: products of float32 as they are, not in TF32, and reading its memory."""
    shapes = [(2048, 768, 2048)] if quick else [(8192, 8192, 8192), (16_384, 768, 8192)]
    rates = []
    for rows, inner, columns in shapes:
        a, b = torch.randn(rows, inner, device=device), torch.randn(inner, columns, device=device)
        out = torch.empty(rows, columns, device=device)

        def multiply(a: Tensor = a, b: Tensor = b, out: Tensor = out) -> None:
            torch.mm(a, b, out=out)
            out[0, 0].item()  # waits for the product

        rates.append(2e-9 * rows * inner * columns / _least(multiply, 5))
    values = torch.ones(2**24 if quick else 2**29, device=device)
    return {"float32-gpu": max(rates), "read": 1e-9 * values.nbytes / _least(lambda: values.sum().item(), 5)}


def best_gemm(limits: dict[str, float], names: tuple[str, ...] | None = None) -> float:
    """Give the best rate of these products, or of all."""
    return max((rate for name, rate in limits.items() if name != "read" and name in (names or limits)), default=0.0)


def _gemm(shape: tuple[int, int, int], repeats: int) -> dict[str, float]:
    rows, inner, columns = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rows, inner), dtype=np.float32)
    b = rng.standard_normal((inner, columns), dtype=np.float32)
    out = np.empty((rows, columns), dtype=np.float32)
    a_torch, b_torch, out_torch = (torch.from_numpy(each) for each in (a, b, out))
    ways: dict[str, Callable[[], object]] = {
        "float32-numpy": lambda: np.matmul(a, b, out=out),
        "float32-torch": lambda: torch.mm(a_torch, b_torch, out=out_torch),
    }
    if fast_bfloat16():
        a_half, b_half = a_torch.bfloat16(), b_torch.bfloat16()
        ways["bfloat16-torch"] = lambda: torch.mm(a_half, b_half)
    return {name: 2e-9 * rows * inner * columns / _least(way, repeats) for name, way in ways.items()}


def _read(n: int) -> float:
    """Sum n floats, and multiply them with a vector: whichever is faster."""
    values = np.ones(n, dtype=np.float32)
    tensor, matrix, vector = torch.from_numpy(values), values.reshape(-1, 1024), np.ones(1024, dtype=np.float32)
    return 1e-9 * values.nbytes / min(_least(lambda: tensor.sum(), 5), _least(lambda: matrix @ vector, 5))


def _least(call: Callable[[], object], repeats: int) -> float:
    """Give the least seconds of a call after one that is not counted."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
