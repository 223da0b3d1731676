"""The edge between what callers hold (NumPy, torch, SciPy) and the torch tensors that the rest computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from nearmiss.errors import InvalidArray

__all__ = [
    "BLOCK_BYTES",
    "DEVICE_BLOCK_BYTES",
    "Dense",
    "Matrix",
    "Sparse",
    "as_csr",
    "as_labels",
    "as_matrix",
    "as_tensor",
    "block_bytes",
    "device_of",
    "is_sparse",
    "isolated_torch_seed",
    "like",
    "refuse_nonfinite",
    "required",
    "row_blocks",
    "take_rows",
    "to_numpy",
    "torch_generator",
]

Dense = npt.NDArray[np.floating] | Tensor
Sparse = sparse.csr_array
Matrix = Dense | Sparse

#: Working memory that one temporary block may take, on the host and on an accelerator, where few long ones are faster.
BLOCK_BYTES = 32 * 2**20
DEVICE_BLOCK_BYTES = 256 * 2**20


M = TypeVar("M", bound=Matrix)
Kind = TypeVar("Kind", npt.NDArray[np.floating], Tensor)


class _Lent:
    """Lend a read-only array's memory (a memory-mapped file) to torch, which warns otherwise; nothing writes to it."""

    def __init__(self, array: npt.NDArray[np.generic]) -> None:
        self.owner = array  # keeps the memory alive as long as the view
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def is_sparse(x: object) -> TypeGuard[Sparse]:
    """Tell whether x is a SciPy sparse array or matrix of any format."""
    return bool(sparse.issparse(x))


def device_of(x: object) -> torch.device:
    """Say where x lies: tensors know, and all else is the CPU's.

    Examples
    --------
    >>> device_of(np.eye(2))
    device(type='cpu')
    """
    return x.device if isinstance(x, Tensor) else torch.device("cpu")


def as_tensor(x: Matrix, name: str) -> Tensor:
    """View x as a float32 or float64 tensor on its device, without a copy where its memory allows.

    Half precision becomes float32, integers float64. The result may share memory with x: never write to it.

    Raises
    ------
    InvalidArray
        x is sparse or not numeric.

    Examples
    --------
    >>> as_tensor(np.array([[1, 2]]), "features")
    tensor([[1., 2.]], dtype=torch.float64)
    """
    if is_sparse(x):
        raise InvalidArray(f"{name} is sparse; pass a dense array here")
    if isinstance(x, Tensor):
        tensor = x.detach()
    else:
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise InvalidArray(f"{name} has dtype {array.dtype}; pass an array of floats")
        if array.dtype.kind != "f" or array.dtype.itemsize > 8:
            array = array.astype(np.float64)
        aligned = all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides)
        if not aligned or not array.dtype.isnative:
            array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
        tensor = torch.from_numpy(array if array.flags.writeable else np.asarray(_Lent(array)))
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)


def as_matrix(x: Matrix, name: str) -> Tensor:
    """View x as a finite float32 or float64 matrix, without a copy where its memory allows.

    The result may share memory with x: never write to it.

    Raises
    ------
    InvalidArray
        x is sparse, not two-dimensional, has no columns, or holds NaN or infinity.

    Examples
    --------
    >>> as_matrix(np.eye(2, dtype=np.float32), "features").dtype
    torch.float32
    >>> as_matrix(np.array([[0.0], [np.nan]]), "pool features")
    Traceback (most recent call last):
    ...
    nearmiss.errors.InvalidArray: pool features holds NaN in row 1; remove or impute that row
    """
    tensor = as_tensor(x, name)
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise InvalidArray(f"{name} has shape {tuple(tensor.shape)}; pass one row per text, (n, d) with d at least 1")
    refuse_nonfinite(tensor, name)
    return tensor


def refuse_nonfinite(matrix: Tensor, name: str) -> None:
    """Refuse a matrix that holds NaN or infinity, naming the first such row.

    Raises
    ------
    InvalidArray
        Some entry is not finite.
    """
    for rows in row_blocks(matrix.shape[0], matrix.shape[1] * matrix.element_size()):
        block = matrix[rows]
        # A row whose sum is finite has finite entries; the sum of a finite row may still overflow, so look again.
        if bool(torch.isfinite(block.sum(dim=1)).all()):
            continue
        finite = torch.isfinite(block).all(dim=1)
        if not bool(finite.all()):
            row = int(torch.nonzero(~finite)[0, 0])
            what = "NaN" if bool(torch.isnan(block[row]).any()) else "infinity"
            raise InvalidArray(f"{name} holds {what} in row {rows.start + row}; remove or impute that row")


def as_csr(x: Matrix, name: str) -> Sparse:
    """Return x as a finite float64 CSR array in canonical form; x itself is left as it was.

    Raises
    ------
    InvalidArray
        x is dense, not two-dimensional, has no columns, or holds NaN or infinity.

    Examples
    --------
    >>> as_csr(sparse.csr_array(np.eye(2, dtype=np.float32)), "features").dtype
    dtype('float64')
    """
    if not is_sparse(x):
        raise InvalidArray(f"{name} is dense where the others are sparse; pass all features as CSR, or all as dense")
    csr: Sparse = sparse.csr_array(x).astype(np.float64, copy=False)
    if csr.ndim != 2 or csr.shape[1] == 0:
        raise InvalidArray(f"{name} has shape {csr.shape}; pass one row per text, (n, d) with d at least 1")
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    finite = np.isfinite(csr.data)
    if not finite.all():
        entry = int(np.argmin(finite))
        row = int(np.searchsorted(csr.indptr, entry, side="right")) - 1
        what = "NaN" if np.isnan(csr.data[entry]) else "infinity"
        raise InvalidArray(f"{name} holds {what} in row {row}; remove or impute that row")
    return csr


def as_labels(labels: npt.NDArray[np.integer], n_classes: int, name: str) -> npt.NDArray[np.int64]:
    """Return class ids as int64, all of them within 0..n_classes-1.

    Raises
    ------
    InvalidArray
        Not one-dimensional integers, or an id outside the classes.

    Examples
    --------
    >>> as_labels(np.array([0, 2]), 2, "labels")
    Traceback (most recent call last):
    ...
    nearmiss.errors.InvalidArray: labels holds class 2 in row 1; classes run from 0 to 1
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidArray(
            f"{name} has shape {array.shape} and dtype {array.dtype}; pass one integer class id per text"
        )
    outside = np.flatnonzero((array < 0) | (array >= n_classes))
    if len(outside):
        row = int(outside[0])
        raise InvalidArray(f"{name} holds class {array[row]} in row {row}; classes run from 0 to {n_classes - 1}")
    return array.astype(np.int64)


def required(value: M | None, name: str, rows: int, axis: int = 0) -> M:
    """Return a signal that must be there, one row per text.

    Raises
    ------
    InvalidArray
        The signal is missing, or its length along the axis is not the number of texts.

    Examples
    --------
    >>> required(None, "pool log_probs", 3)
    Traceback (most recent call last):
    ...
    nearmiss.errors.InvalidArray: pool log_probs is missing; this strategy needs it for each of the 3 texts
    """
    if value is None:
        raise InvalidArray(f"{name} is missing; this strategy needs it for each of the {rows} texts")
    shape = tuple(value.shape)
    if len(shape) <= axis or shape[axis] != rows:
        raise InvalidArray(f"{name} has shape {shape}, but there are {rows} texts; pass one row per text")
    return value


def take_rows(x: Matrix, indices: npt.NDArray[np.int64]) -> Matrix:
    """Copy these rows, in this order, of a matrix of any kind.

    Examples
    --------
    >>> take_rows(torch.tensor([[1.0], [2.0], [3.0]]), np.array([2, 0]))
    tensor([[3.],
            [1.]])
    """
    if isinstance(x, Tensor):
        return x.index_select(0, torch.from_numpy(indices).to(x.device))
    taken: Matrix = x[indices]
    return taken


def to_numpy(t: Tensor) -> npt.NDArray[np.float64]:
    """Bring a tensor to the host as float64."""
    array: npt.NDArray[np.float64] = t.detach().to(device="cpu", dtype=torch.float64).numpy()
    return array


def like(t: Tensor, model: Kind) -> Kind:
    """Return t as the kind of array that the model is: NumPy for NumPy, a tensor for a tensor."""
    if isinstance(model, Tensor):
        return t
    return t.cpu().numpy()


def row_blocks(n_rows: int, row_bytes: int, block_bytes: int = BLOCK_BYTES) -> Iterator[slice]:
    """Cut n rows into slices whose temporaries, at row_bytes each, fit block_bytes.

    Examples
    --------
    >>> [(b.start, b.stop) for b in row_blocks(5, row_bytes=8, block_bytes=16)]
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, block_bytes // max(1, row_bytes))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def block_bytes(device: torch.device, on_host: int) -> int:
    """Say what a block's temporaries may take: so much on the host, as much as pays on an accelerator.

    Examples
    --------
    >>> block_bytes(torch.device("cpu"), 2**20)
    1048576
    """
    return on_host if device.type == "cpu" else DEVICE_BLOCK_BYTES


def torch_generator(rng: np.random.Generator, device: torch.device | str = "cpu") -> torch.Generator:
    """Seed a torch generator from a NumPy one, which moves on by one draw.

    Examples
    --------
    >>> a, b = (torch_generator(np.random.default_rng(1)) for _ in range(2))
    >>> bool(torch.rand(3, generator=a).eq(torch.rand(3, generator=b)).all())
    True
    """
    generator = torch.Generator(device=device)
    generator.manual_seed(int(rng.integers(2**63 - 1)))
    return generator


@contextmanager
def isolated_torch_seed(seed: int) -> Iterator[None]:
    """Seed torch's global generators, of the CPU and of every CUDA device, for a while; put them back afterwards.

    For code that takes no generator, such as the dropout of a pretrained model; all else is handed ``torch_generator``.

    Examples
    --------
    >>> with isolated_torch_seed(3):
    ...     first = torch.rand(2)
    >>> with isolated_torch_seed(3):
    ...     second = torch.rand(2)
    >>> bool(first.eq(second).all())
    True
    """
    # Left to itself, fork_rng warns once there are several devices, and forks none that CUDA has not met yet.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield
