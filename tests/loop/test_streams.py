import subprocess
import sys

from nearmiss.loop.streams import Streams, named_generator


def draw(generator):
    return generator.integers(2**63, size=4).tolist()


def test_every_name_counts():
    cases = [("d", "s", 0, 1, "x"), ("d", "s", 0, 1, "y"), ("d", "s", 0, 2, "x"), ("d", "s", 1, 1, "x")]
    cases += [("d", "t", 0, 1, "x"), ("e", "s", 0, 1, "x"), ("ds", "", 0, 1, "x"), ("d", "s", "0", 1, "x")]
    assert len({tuple(draw(named_generator(*names))) for names in cases}) == len(cases)


def test_another_process_draws_the_same():
    # Python's own hash() differs between processes; ours must not.
    code = (
        "from nearmiss.loop.streams import *; print(Streams('d', 's', 3).own('x', 2).integers(2**63, size=4).tolist())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(draw(Streams("d", "s", 3).own("x", 2)))


def test_strategies_share_the_initial_set_and_the_training_but_not_their_own_draws():
    one, two = Streams("d", "random", 0), Streams("d", "cal", 0)
    assert draw(one.shared("fit", 2)) == draw(two.shared("fit", 2))
    assert draw(one.own("selection", 2)) != draw(two.own("selection", 2))
    assert draw(one.shared("fit", 1)) != draw(one.shared("fit", 2))
