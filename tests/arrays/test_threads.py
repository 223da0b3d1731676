"""Teams of threads: what they give, what they keep to one thread, and that they leave everything as it was."""

import threading
import time
from itertools import permutations

import numpy as np
import pytest
import torch
from tests.arrays.thread_settings import PATIENCE, blas_threads, in_new_thread, settings_of_thread

from nearmiss.arrays import threads
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.kmeans import kmeans_centers
from nearmiss.arrays.threads import in_blocks, one_blas_thread, team

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("three_threads")


def test_results_come_in_the_order_of_the_blocks():
    def late(number):
        time.sleep(0.02 if number == 0 else 0.0)
        return number

    with team(CPU) as workers:
        assert workers.size == 3
        assert list(workers.map(late, range(9))) == list(range(9))
        assert list(workers.map(late, [])) == []


def test_blocks_are_worked_on_at_the_same_time():
    meeting = threading.Barrier(3, timeout=PATIENCE)
    with team(CPU) as workers:
        assert sorted(workers.map(lambda _: meeting.wait(), range(3))) == [0, 1, 2]


def test_within_a_team_every_thread_has_one_thread(many_blas_threads):
    meeting = threading.Barrier(3, timeout=PATIENCE)

    def seen(_):
        meeting.wait()
        return threading.get_ident(), settings_of_thread()

    with team(CPU) as workers:
        here = settings_of_thread()
        there = dict(workers.map(seen, range(3)))
    assert here == (1, {1})
    assert list(there.values()) == [(1, {1})] * 3
    assert threading.get_ident() not in there
    assert settings_of_thread() == (3, many_blas_threads)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["block", "caller"])
def test_an_exception_passes_through_and_all_is_as_before(many_blas_threads, error, where):
    def fails(number):
        if number == 1:
            raise error("in a block")
        return number

    def work():
        with team(CPU) as workers:
            if where == "block":
                list(workers.map(fails, range(20)))
            raise error("in the caller")

    with pytest.raises(error, match=where):
        work()
    assert settings_of_thread() == (3, many_blas_threads)
    with team(CPU) as workers:
        assert workers.size == 3
        assert list(workers.map(abs, [-1, -2])) == [1, 2]


def test_blocks_that_follow_a_failure_are_not_begun():
    begun = []

    def fails(number):
        begun.append(number)
        time.sleep(0.001)
        raise ValueError(str(number))

    with pytest.raises(ValueError, match="0"), team(CPU) as workers:
        list(workers.map(fails, range(1_000)))
    assert len(begun) < 500


def test_a_team_within_a_team_is_the_same():
    with team(CPU) as outer:
        with team(CPU) as inner:
            assert inner is outer
        assert settings_of_thread() == (1, {1})
        assert list(outer.map(abs, [-1])) == [1]


def test_a_team_within_a_block_works_inline():
    def block(number):
        with team(CPU) as inner:
            idents = set(inner.map(lambda _: threading.get_ident(), range(4)))
            return inner.size, idents == {threading.get_ident()}, torch.get_num_threads(), number

    def work():
        with team(CPU) as workers:
            return list(workers.map(block, range(12)))

    # More blocks than threads, all of which gather a team: none may wait for a place in another's queue.
    assert in_new_thread(work) == [(1, True, 1, number) for number in range(12)]


def test_blocks_within_blocks_do_not_wait_for_each_other(monkeypatch):
    monkeypatch.setattr(threads, "BLOCK_BYTES", 64)
    matrix = torch.zeros(64, 8)

    def fill(rows):
        part = matrix[rows]
        in_blocks(lambda own: part[own].add_(1.0), part)

    in_new_thread(lambda: in_blocks(fill, matrix))
    assert (matrix == 1).all()


def test_a_team_gathered_in_a_plain_thread_within_a_team_is_its_own(many_blas_threads):
    def work():
        with team(CPU) as workers:
            return workers.size, list(workers.map(abs, [-1, -2])), settings_of_thread()

    with team(CPU):
        size, results, inside = in_new_thread(work)
        assert settings_of_thread() == (1, {1})
    assert results == [1, 2]
    assert size >= 1
    assert inside == (1, {1})
    assert settings_of_thread() == (3, many_blas_threads)


@pytest.mark.parametrize("leave", list(permutations("abc")))
def test_blas_is_set_free_by_the_last_of_three(many_blas_threads, leave):
    held = {name: one_blas_thread() for name in "abc"}
    for holder in held.values():
        holder.__enter__()
    for name in leave:
        assert blas_threads() == {1}
        held[name].__exit__(None, None, None)
    assert blas_threads() == many_blas_threads


def test_with_one_thread_the_caller_works_alone():
    torch.set_num_threads(1)
    try:
        with team(CPU) as workers:
            assert workers.size == 1
            idents = set(workers.map(lambda _: threading.get_ident(), range(5)))
            assert blas_threads() == {1}
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(3)
    assert idents == {threading.get_ident()}


def test_for_an_accelerator_the_caller_works_alone_and_nothing_is_limited(many_blas_threads):
    with team(torch.device("meta")) as workers:
        assert workers.size == 1
        assert settings_of_thread() == (3, many_blas_threads)
        assert set(workers.map(lambda _: threading.get_ident(), range(3))) == {threading.get_ident()}


def test_threads_made_afterwards_are_unharmed():
    first = in_new_thread(torch.get_num_threads)
    with team(CPU) as workers:
        list(workers.map(abs, range(6)))
        assert in_new_thread(torch.get_num_threads) == first
    assert in_new_thread(torch.get_num_threads) == first
    assert torch.get_num_threads() == 3


def test_one_blas_thread_nests(many_blas_threads):
    with one_blas_thread():
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
        with team(CPU):
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == many_blas_threads


def test_one_blas_thread_leaves_torch_alone():
    with one_blas_thread():
        assert torch.get_num_threads() == 3


def test_one_blas_thread_lets_go_after_an_exception(many_blas_threads):
    with pytest.raises(ValueError, match="inside"), one_blas_thread():
        raise ValueError("inside")
    assert blas_threads() == many_blas_threads


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 101])
@pytest.mark.parametrize("size", [1, 12, 100, 10_000])
def test_every_row_is_in_one_block(n, size, monkeypatch):
    monkeypatch.setattr(threads, "BLOCK_BYTES", size)
    matrix = torch.zeros(n, 3)
    blocks = []

    def add(rows):
        blocks.append(rows)
        matrix[rows] += 1

    in_blocks(add, matrix)
    assert (matrix == 1).all()
    assert sorted(row for block in blocks for row in range(n)[block]) == list(range(n))
    assert max(block.stop - block.start for block in blocks) <= max(1, size // 12)


def test_matrices_without_rows_or_columns_have_nothing_or_everything_to_do():
    called = []
    in_blocks(called.append, torch.zeros(0, 5))
    assert called == []
    in_blocks(called.append, torch.zeros(5, 0))
    assert sorted(row for rows in called for row in range(5)[rows]) == list(range(5))


def test_one_block_needs_no_team(monkeypatch):
    monkeypatch.setattr(threads, "team", None)
    called = []
    in_blocks(called.append, torch.zeros(5, 5))
    assert called == [slice(0, 5)]


def test_an_exception_in_a_block_of_rows_reaches_the_caller(monkeypatch):
    monkeypatch.setattr(threads, "BLOCK_BYTES", 4)

    def fails(rows):
        if rows.start == 3:
            raise ValueError("row 3")

    with pytest.raises(ValueError, match="row 3"):
        in_blocks(fails, torch.zeros(8, 1))


def test_blocks_are_worked_on_in_the_callers_inference_mode():
    X = torch.from_numpy(np.random.default_rng(0).standard_normal((6_000, 256)).astype(np.float32))
    with torch.inference_mode():
        unit = normalize_rows(X)
        assert unit.is_inference()
    assert torch.equal(unit.clone(), normalize_rows(X))
    with torch.inference_mode():
        assert kmeans_centers(X.double(), 70, np.random.default_rng(0), iterations=1).shape == (70, 256)


def test_an_interrupt_on_the_way_in_leaves_blas_as_it_was(monkeypatch):
    before = blas_threads()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(threads, "_set_threads", interrupt)
    with pytest.raises(KeyboardInterrupt), one_blas_thread():
        pass
    monkeypatch.undo()
    with one_blas_thread():
        assert blas_threads() <= {1}
    assert blas_threads() == before


def test_an_accelerator_has_no_team_even_within_one():
    with team(torch.device("cpu")) as outer, team(torch.device("meta")) as inner:
        assert (outer.size, inner.size) == (torch.get_num_threads() if outer.size == 1 else outer.size, 1)
