import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.errors import InvalidData, InvalidInput, UnknownName
from nearmiss.experiment.amounts import Amount
from nearmiss.experiment.spec import ClassifierChoice, ExperimentSpec, MaskedLMChoice, RunKey

MINIMAL = 'dataset = "imdb"\nstrategies = ["cal"]\n'

texts = st.text(min_size=1, max_size=20).filter(str.strip)
amounts = st.integers(1, 10_000) | st.decimals(0, 100, places=3).filter(lambda d: d > 0).map(lambda d: f"{d}%")
option_names = st.from_regex(r"[a-z][a-z0-9]{0,5}(_[a-z0-9]{1,5}){0,2}", fullmatch=True).filter(lambda s: s != "name")
options = st.dictionaries(
    option_names,
    texts | st.integers(-(2**40), 2**40) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def specs(draw):
    amount = draw(amounts)
    return ExperimentSpec(
        dataset=draw(texts),
        strategies=tuple(draw(st.lists(texts, min_size=1, max_size=4, unique=True))),
        seeds=tuple(draw(st.lists(st.integers(0, 2**31), min_size=1, max_size=4, unique=True))),
        initial=amount,
        initial_method=draw(texts),
        batch=draw(amounts),
        budget=amount,
        max_pool=draw(st.none() | st.integers(1, 10_000)),
        max_test=draw(st.none() | st.integers(1, 10_000)),
        classifier=ClassifierChoice(draw(texts), draw(options)),
        masked_lm=MaskedLMChoice(draw(texts), draw(st.booleans())),
        threads=draw(st.integers(1, 64)),
        name=draw(texts),
    )


@given(specs())
def test_toml_gives_every_spec_back(spec):
    again = ExperimentSpec.from_toml(spec.to_toml())
    assert again == spec
    assert again.run_id == spec.run_id
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(again) == hash(spec)


def test_reads_what_a_person_writes():
    spec = ExperimentSpec.from_toml(
        MINIMAL + 'initial-method = "random"\nbatch = "2.50 %"\nbudget = "500"\ninitial = 20\n'
        'seeds = [7]\nmax-pool = 900\n[classifier]\nname = "tuned"\nmax-length = 64\n[masked-lm]\ntrain-head = false\n'
    )
    assert (spec.initial_method, spec.batch, spec.budget, spec.max_pool) == ("random", "2.5%", 500, 900)
    assert spec.classifier == ClassifierChoice("tuned", {"max_length": 64})
    assert spec.masked_lm.train_head is False
    assert ExperimentSpec.from_toml(MINIMAL + 'classifier = "tfidf"').classifier.name == "tfidf"


def test_defaults_are_the_papers():
    spec = ExperimentSpec.from_toml(MINIMAL)
    assert (spec.initial, spec.batch, spec.budget, spec.initial_method) == ("1%", "2%", "15%", "stratified")
    assert len(spec.seeds) == 5


@pytest.mark.parametrize(
    "toml, error, message",
    [
        ("bugdet = 5", UnknownName, "'bugdet'; did you mean 'budget'"),
        ("[masked-lm]\nmodle = 'x'", UnknownName, "'modle'; did you mean 'model'"),
        ("max_pool = 5", UnknownName, "did you mean 'max-pool'"),
        ("batch = 0", InvalidInput, "batch = 0: expected a count of at least 1"),
        ("batch = 1.5", InvalidInput, "batch = 1.5: expected a count"),
        ("batch = true", InvalidInput, "batch = True: expected a count"),
        ("batch = '101%'", InvalidInput, "no more than 100%"),
        ("batch = 'many'", InvalidInput, "batch = 'many': expected a count"),
        ("initial = 50\nbudget = 20", InvalidInput, "budget = 20 is below initial = 50"),
        ("seeds = []", InvalidInput, "seeds = .*at least one"),
        ("seeds = 3", InvalidInput, "seeds = 3: expected a list"),
        ("seeds = [1, 1]", InvalidInput, "1 is named twice"),
        ("seeds = [-1]", InvalidInput, "-1 is no seed"),
        ("threads = 0", InvalidInput, "threads = 0: expected a whole number"),
        ("max-pool = '5'", InvalidInput, "max-pool = '5': expected a whole number"),
        ("name = ''", InvalidInput, "name = '': expected a text"),
        ("classifier = 3", InvalidInput, "classifier = 3: expected a name"),
        ("[classifier]\nmax-length = 3", InvalidInput, "expected a name"),
        ("[classifier]\nname = 'tuned'\nsizes = [1]", InvalidInput, "classifier option sizes"),
        ("[classifier]\nname = 'tuned'\nrate = nan", InvalidInput, "classifier option rate"),
        ("masked-lm = 'minilm'", InvalidInput, "expected a table"),
        ("[masked-lm]\ntrain-head = 1", InvalidInput, "train-head = 1: expected true or false"),
    ],
)
def test_says_what_does_not_fit(toml, error, message):
    with pytest.raises(error, match=message):
        ExperimentSpec.from_toml(MINIMAL + toml)


@pytest.mark.parametrize(
    "toml, error, message",
    [
        ("dataset = 1 2", InvalidData, "not TOML: .*line 1"),
        ("dataset = 'x'", InvalidInput, "does not say strategies"),
        ("dataset = 'x'\nstrategies = 'cal'", InvalidInput, "strategies = 'cal': expected a list"),
        ("dataset = 'x'\nstrategies = ['cal', 'cal']", InvalidInput, "'cal' is named twice"),
        ("dataset = 5\nstrategies = ['cal']", InvalidInput, "dataset = 5: expected a text"),
    ],
)
def test_refuses_what_is_no_spec(toml, error, message):
    with pytest.raises(error, match=message):
        ExperimentSpec.from_toml(toml)


def test_names_a_file_it_cannot_read(tmp_path):
    with pytest.raises(InvalidData, match=r"missing\.toml: No such file"):
        ExperimentSpec.read(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"')
    with pytest.raises(InvalidData, match="not UTF-8"):
        ExperimentSpec.read(tmp_path / "latin.toml")
    (tmp_path / "good.toml").write_text(MINIMAL)
    assert ExperimentSpec.read(tmp_path / "good.toml").dataset == "imdb"


def test_replacing_checks_as_making_does():
    spec = ExperimentSpec("imdb", ("cal",), classifier=ClassifierChoice("tuned", {"layers": 2}))
    changed = spec.replace(strategies=("random",), budget="20%", seeds=[4])
    assert (changed.strategies, changed.budget, changed.seeds, changed.dataset) == (("random",), "20%", (4,), "imdb")
    assert spec.replace(classifier="tuned").classifier.options == {"layers": 2}
    assert spec.replace(classifier="tfidf").classifier == ClassifierChoice("tfidf")
    with pytest.raises(UnknownName, match="did you mean 'budget'"):
        spec.replace(bugdet=3)
    with pytest.raises(InvalidInput, match="batch = -1"):
        spec.replace(batch=-1)


def test_run_id_follows_results_and_nothing_else():
    spec = ExperimentSpec("imdb", ("cal",))
    assert spec.replace(name="other").run_id == spec.run_id
    changes = [
        {"dataset": "sst2"}, {"strategies": ("cal:k=5",)}, {"seeds": (0,)}, {"initial": 5}, {"batch": 7},
        {"budget": "16%"}, {"initial_method": "random"}, {"text_column": "t"}, {"pair_column": "p"},
        {"label_column": "l"}, {"max_pool": 100}, {"max_test": 100}, {"threads": 2}, {"validation": 9},
        {"classifier": "tfidf"}, {"masked_lm": MaskedLMChoice(epochs=9)},
    ]  # fmt: skip
    assert {next(iter(c)) for c in changes} == {f.name for f in dataclasses.fields(spec)} - {"name"}
    assert len({spec.run_id, *(spec.replace(**change).run_id for change in changes)}) == len(changes) + 1


def test_a_runs_hash_knows_nothing_of_the_other_runs():
    small, large = ExperimentSpec("imdb", ("cal",), (0,)), ExperimentSpec("imdb", ("random", "cal"), (0, 1))
    key = RunKey("cal", 0)
    assert small.run_hash(key) == large.run_hash(key)
    hashes = {*map(large.run_hash, large.keys()), large.replace(batch=3).run_hash(key)}
    assert len(hashes) == 5
    assert small.conflicts(large) == ()
    assert small.conflicts(large.replace(batch=3, max_pool=9)) == ("batch", "max-pool")


@pytest.mark.parametrize(
    "value, pool, expected",
    [("1%", 22_500, 225), ("15%", 6_000, 900), ("0.1%", 1_000, 1), ("0.1%", 10, 1), ("2.5%", 100, 3), (7, 100, 7)],
)
def test_amounts_become_counts_exactly(value, pool, expected):
    assert Amount.parse("batch", value).resolve(pool) == expected


def test_reading_a_spec_and_a_finished_experiment_loads_no_torch():
    code = "import sys, nearmiss.experiment.spec, nearmiss.experiment.runner; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_the_demo_is_a_spec():
    spec = ExperimentSpec.read(Path(__file__).parents[2] / "examples" / "demo.toml")
    assert (spec.dataset, spec.initial, len(spec.seeds)) == ("dbpedia-6k", 200, 3)
    assert {"random", "entropy", "margin", "bertkm", "badge", "alps", "cal"} <= set(spec.strategies)
