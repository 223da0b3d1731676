import pytest

from nearmiss import __version__, strategy_names
from nearmiss.text.datasets import dataset_names


def test_version(nearmiss):
    assert nearmiss("--version").out == f"nearmiss {__version__}\n"


@pytest.mark.parametrize("command", ["run", "select", "strategies", "datasets"])
def test_every_command_has_help_with_an_example(nearmiss, command):
    outcome = nearmiss(command, "--help")
    assert outcome.code == 0
    assert f"Example: nearmiss {command}" in outcome.out


def test_shell_completion_is_offered(nearmiss):
    assert "--install-completion" in nearmiss("--help").out


def test_strategies_lists_every_one(nearmiss):
    listed = nearmiss("strategies").out
    assert all(name in listed for name in strategy_names())


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_has_a_card(nearmiss, name):
    card = nearmiss("strategies", name).out
    for heading in ("paper ", "reads ", "cost ", "score "):
        assert heading in card


def test_cal_card_tells_options_and_differences(nearmiss):
    card = nearmiss("strategies", "cal").out
    assert "k = 10" in card
    assert "pooler output" in card


def test_datasets_lists_every_one_and_where_it_is(nearmiss):
    listed = nearmiss("datasets").out
    assert all(name in listed for name in dataset_names())
    assert "in the package" in listed


@pytest.mark.parametrize("name", dataset_names())
def test_every_dataset_has_a_card(nearmiss, name):
    card = nearmiss("datasets", name).out
    assert "licence " in card
    assert "source " in card


@pytest.mark.parametrize(
    "command, wrong, near", [("strategies", "margn", "margin"), ("datasets", "banking", "banking77")]
)
def test_unknown_names_are_refused_with_the_nearest(nearmiss, command, wrong, near):
    outcome = nearmiss(command, wrong)
    assert outcome.code == 2
    assert outcome.err.startswith("nearmiss: ")
    assert f"did you mean {near!r}" in outcome.err
    assert outcome.out == ""
