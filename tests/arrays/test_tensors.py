import numpy as np
import pytest
import torch
from scipy import sparse

from nearmiss.arrays.tensors import (
    as_csr,
    as_labels,
    as_matrix,
    as_tensor,
    isolated_torch_seed,
    required,
    row_blocks,
    take_rows,
    to_numpy,
    torch_generator,
)
from nearmiss.errors import InvalidArray


def test_a_float_matrix_is_viewed_not_copied():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert as_matrix(array, "features").data_ptr() == array.ctypes.data


def test_a_read_only_array_is_viewed_without_a_warning_and_kept_alive():
    def view():
        array = np.arange(60_000, dtype=np.float64).reshape(2, -1)
        array.setflags(write=False)
        return as_matrix(array, "features")

    assert torch.equal(view(), torch.arange(60_000, dtype=torch.float64).reshape(2, -1))


def test_a_memory_mapped_file_is_read(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "features.npy", array)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert torch.equal(as_matrix(mapped, "features"), torch.from_numpy(array))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3)[::-1],
        np.arange(6.0).reshape(3, 2).T,
        np.arange(12.0).reshape(2, 6)[:, ::2],
        np.arange(6.0, dtype=">f8").reshape(2, 3),
        np.arange(6).reshape(2, 3),
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.arange(6, dtype=np.longdouble).reshape(2, 3),
    ],
    ids=["reversed", "transposed", "strided", "big-endian", "integers", "half", "long double"],
)
def test_any_layout_and_number_type_is_read(array):
    assert as_matrix(array, "features").tolist() == array.tolist()


def test_integers_become_float64_and_half_precision_float32():
    assert as_tensor(np.eye(2, dtype=np.int32), "x").dtype == torch.float64
    assert as_tensor(torch.eye(2, dtype=torch.bfloat16), "x").dtype == torch.float32


@pytest.mark.parametrize("value, what", [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_what_is_not_finite_is_refused_with_its_row(value, what):
    array = np.zeros((5, 3), dtype=np.float32)
    array[3, 1] = value
    with pytest.raises(InvalidArray, match=f"pool features holds {what} in row 3"):
        as_matrix(array, "pool features")
    with pytest.raises(InvalidArray, match=f"pool features holds {what} in row 3"):
        as_csr(sparse.csr_array(array), "pool features")


def test_rows_whose_sum_overflows_are_still_finite():
    array = np.full((2, 4), 3e38, dtype=np.float32)
    assert as_matrix(array, "features").shape == (2, 4)


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((3, 0)), np.zeros((1, 2, 3))])
def test_the_wrong_shape_is_refused(array):
    with pytest.raises(InvalidArray, match="pass one row per text"):
        as_matrix(array, "features")


def test_text_and_sparse_are_not_dense_matrices():
    with pytest.raises(InvalidArray, match="dtype <U1"):
        as_matrix(np.array([["a"]]), "features")
    with pytest.raises(InvalidArray, match="sparse"):
        as_matrix(sparse.csr_array(np.eye(2)), "features")
    with pytest.raises(InvalidArray, match="dense"):
        as_csr(np.eye(2), "features")


def test_a_csr_with_repeated_entries_is_summed_in_a_copy():
    csr = sparse.csr_array((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 3))
    canonical = as_csr(csr, "features")
    assert canonical.toarray().tolist() == [[0.0, 3.0, 0.0]]
    assert canonical.nnz == 1
    assert csr.nnz == 2


def test_labels_must_be_integers_within_the_classes():
    assert as_labels(np.array([1, 0], dtype=np.uint8), 2, "labels").dtype == np.int64
    with pytest.raises(InvalidArray, match="class -1 in row 1"):
        as_labels(np.array([0, -1]), 2, "labels")
    with pytest.raises(InvalidArray, match="integer class id"):
        as_labels(np.array([0.0, 1.0]), 2, "labels")


def test_a_signal_of_another_length_is_refused():
    assert required(np.zeros((4, 3, 2)), "pool mc_log_probs", 3, axis=1).shape == (4, 3, 2)
    with pytest.raises(InvalidArray, match=r"pool features has shape \(4, 2\), but there are 3 texts"):
        required(np.zeros((4, 2)), "pool features", 3)


def test_blocks_cover_all_rows_and_a_row_larger_than_a_block_stands_alone():
    assert [(b.start, b.stop) for b in row_blocks(3, row_bytes=100, block_bytes=10)] == [(0, 1), (1, 2), (2, 3)]
    assert list(row_blocks(0, row_bytes=1)) == []


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, sparse.csr_array])
def test_rows_are_taken_in_order_from_any_kind(kind):
    taken = take_rows(kind(np.arange(6.0).reshape(3, 2)), np.array([2, 2, 0]))
    dense = taken.toarray() if sparse.issparse(taken) else np.asarray(taken)
    assert dense.tolist() == [[4.0, 5.0], [4.0, 5.0], [0.0, 1.0]]


def test_results_come_to_the_host_as_float64():
    assert to_numpy(torch.ones(2, dtype=torch.float32, requires_grad=True)).dtype == np.float64


def test_the_torch_generator_follows_the_numpy_one():
    draws = [torch.rand(2, generator=torch_generator(np.random.default_rng(seed))).tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_an_isolated_seed_decides_every_draw_inside_and_moves_nothing_outside():
    before = torch.random.get_rng_state()
    draws = []
    for seed in (5, 5, 6):
        with isolated_torch_seed(seed):
            draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_isolated_seed_is_put_back_after_an_error():
    before = torch.random.get_rng_state()

    def fail():
        with isolated_torch_seed(5):
            torch.rand(4)
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail()
    assert torch.equal(torch.random.get_rng_state(), before)
