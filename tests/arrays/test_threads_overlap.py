"""Teams of threads: what they give, what they keep to one thread, and that they leave everything as it was."""

import threading
from contextlib import ExitStack

import pytest
import torch
from tests.arrays.thread_settings import PATIENCE, blas_threads, in_new_thread, settings_of_thread
from threadpoolctl import threadpool_limits

from nearmiss.arrays.threads import one_blas_thread, team

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("three_threads")


@pytest.mark.parametrize("enter, leave", [("ab", "ab"), ("ab", "ba"), ("ba", "ab"), ("ba", "ba")])
@pytest.mark.parametrize("kinds", [("team", "team"), ("team", "blas"), ("blas", "team"), ("blas", "blas")])
def test_two_threads_may_overlap_in_every_order(many_blas_threads, kinds, enter, leave):
    """Both are within at once; who came first leaves first or last."""
    turns = [(name, step) for step, order in (("enter", enter), ("leave", leave)) for name in order]
    reached = {turn: threading.Event() for turn in turns}
    seen, failures = {}, []
    all_left = threading.Barrier(2, timeout=PATIENCE)  # threadpoolctl heeds whether a thread still lives

    def wait_for_turn(turn):
        earlier = turns[: turns.index(turn)]
        if not all(reached[other].wait(PATIENCE) for other in earlier):
            raise TimeoutError(turn)

    def work(name, kind):
        try:
            before = settings_of_thread()[0]
            with ExitStack() as stack:
                wait_for_turn((name, "enter"))
                workers = stack.enter_context(team(CPU)) if kind == "team" else None
                if kind == "blas":
                    stack.enter_context(one_blas_thread())
                reached[name, "enter"].set()
                wait_for_turn((name, "leave"))
                within = blas_threads()
                if workers is not None:
                    within |= set().union(*workers.map(lambda _: blas_threads(), range(3)))
            reached[name, "leave"].set()
            all_left.wait()
            seen[name] = before, within, torch.get_num_threads()
        except BaseException as failure:
            failures.append(failure)
        finally:
            reached[name, "enter"].set()
            reached[name, "leave"].set()

    pair = [threading.Thread(target=work, args=given, daemon=True) for given in zip("ab", kinds, strict=True)]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join(PATIENCE)
    assert not failures
    assert settings_of_thread() == (3, many_blas_threads)
    for name in "ab":
        before, within, after = seen[name]
        assert within == {1}
        assert after == before


@pytest.mark.parametrize("kind", ["team", "blas"])
def test_the_main_thread_may_leave_before_another(many_blas_threads, kind):
    entered, left = threading.Event(), threading.Event()
    gather = (lambda: team(CPU)) if kind == "team" else one_blas_thread

    def work():
        with gather():
            entered.set()
            left.wait(PATIENCE)

    other = threading.Thread(target=work, daemon=True)
    with gather():
        other.start()
        entered.wait(PATIENCE)
    left.set()
    other.join(PATIENCE)
    assert settings_of_thread() == (3, many_blas_threads)

    # Afterwards other threads can hold BLAS to one thread again.
    def holds():
        with gather():
            return blas_threads()

    assert in_new_thread(holds) == {1}
    assert settings_of_thread() == (3, many_blas_threads)


def test_many_teams_at_once_leave_all_as_it_was(many_blas_threads):
    start = threading.Barrier(4, timeout=PATIENCE)
    seen = []

    def work():
        before = torch.get_num_threads()
        start.wait()
        for _ in range(25):
            with team(CPU) as workers:
                seen.append(set().union(*workers.map(lambda _: blas_threads(), range(2))) == {1})
        seen.append(torch.get_num_threads() == before)

    crowd = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(PATIENCE)
    assert len(seen) == 4 * 26
    assert all(seen)
    assert settings_of_thread() == (3, many_blas_threads)


def test_a_number_set_within_one_blas_thread_stays():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with one_blas_thread():
            torch.set_num_threads(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_last_to_leave_keeps_its_own_number_of_torch_threads():
    entered, joined, left = threading.Event(), threading.Event(), threading.Event()
    seen = []

    def first():
        with threadpool_limits(1, user_api="openmp"), one_blas_thread():
            entered.set()
            joined.wait(10)
        left.set()

    def second():
        entered.wait(10)
        seen.append(torch.get_num_threads())
        with team(torch.device("cpu")):
            joined.set()
            left.wait(10)
        seen.append(torch.get_num_threads())

    pair = [threading.Thread(target=work) for work in (first, second)]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join(20)
    assert seen[0] == seen[1]
