import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from nearmiss.errors import InvalidData, RunConflict
from nearmiss.experiment import journal as journal_module
from nearmiss.experiment.journal import (
    RunFacts,
    RunJournal,
    read_finished,
    read_lines,
    require_same_ground,
    run_directory,
)
from nearmiss.experiment.records import RoundRecord, RoundTiming
from nearmiss.experiment.spec import ExperimentSpec, RunKey

FACTS = RunFacts("digest", pool_size=100, test_size=20, notes=("the pool was capped",))
KEY = RunKey("cal", 0)
SPEC = ExperimentSpec("imdb", ("cal",), (0,))


def record(n):
    ood = {"sst2": 1 / 7} if n == 2 else {}
    return RoundRecord(n, 10 * (n + 1), tuple(range(10 * n, 10 * n + 10)), 0.1 + 0.2, 1 / 3, 0.7 + n, 1e-17, ood)


def timing(n):
    return RoundTiming(n, 0.5, 0.25, 1.0 + n, 0.125, 1 << 30)


@pytest.fixture
def directory(tmp_path):
    return run_directory(tmp_path, SPEC, KEY)


def write(directory, n_rounds, finish=False):
    with RunJournal(directory, FACTS) as journal:
        for n in range(len(journal.rounds), n_rounds):
            journal.append(record(n), timing(n))
        if finish:
            journal.finish()


def test_a_finished_run_reads_back_to_the_bit(directory):
    assert read_finished(directory, KEY) is None
    write(directory, 3, finish=True)
    run = read_finished(directory, KEY)
    assert run.result.rounds == tuple(record(n) for n in range(3))
    assert run.result.timings == tuple(timing(n) for n in range(3))
    assert run.facts == FACTS


def test_without_the_marker_a_run_is_not_finished(directory):
    write(directory, 3)
    assert read_finished(directory, KEY) is None


@pytest.mark.parametrize("keep", range(0, 400, 7))
def test_a_journal_cut_anywhere_goes_on_and_ends_up_the_same(directory, keep):
    write(directory, 3)
    rounds, timings = directory / "rounds.jsonl", directory / "timings.jsonl"
    whole = rounds.read_bytes(), timings.read_bytes()
    os.truncate(rounds, min(keep, len(whole[0])))
    with RunJournal(directory, FACTS) as journal:
        assert list(journal.rounds) == [record(n) for n in range(len(journal.rounds))]
        assert len(journal.rounds) == whole[0][: min(keep, len(whole[0]))].count(b"\n")
    write(directory, 3)
    assert (rounds.read_bytes(), timings.read_bytes()) == whole


def test_torn_timings_cost_their_numbers_only(directory):
    write(directory, 3, finish=True)
    path = directory / "timings.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert read_finished(directory, KEY).result.timings[2] == RoundTiming(2, 0.0, 0.0, 0.0, 0.0, 0)


def test_a_timing_whose_round_was_lost_is_dropped(directory):
    write(directory, 2)
    with (directory / "timings.jsonl").open("a") as file:
        file.write(json.dumps({"round": 2}) + "\n")
    write(directory, 3, finish=True)
    assert read_finished(directory, KEY).result.timings == tuple(timing(n) for n in range(3))


def test_garbage_after_a_crash_of_the_machine_is_dropped_at_the_end_only(directory):
    write(directory, 2)
    path = directory / "rounds.jsonl"
    good = path.read_bytes()
    path.write_bytes(good + b"\x00\x00\x00\n")
    with RunJournal(directory, FACTS) as journal:
        assert len(journal.rounds) == 2
    assert path.read_bytes() == good
    first, second = good.splitlines(keepends=True)
    path.write_bytes(first[:10] + b"\n" + second)
    with pytest.raises(InvalidData, match=r"rounds\.jsonl, line 1 is damaged; delete"), RunJournal(directory, FACTS):
        pass
    path.write_bytes(second)
    with pytest.raises(InvalidData, match="line 1 is damaged"), RunJournal(directory, FACTS):
        pass


def test_a_marker_that_promises_more_than_there_is(directory):
    write(directory, 3, finish=True)
    path = directory / "rounds.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(InvalidData, match="marked as done but holds 1 rounds"):
        read_finished(directory, KEY)


def test_refuses_to_go_on_with_other_data(directory):
    write(directory, 1)
    with pytest.raises(RunConflict, match="begun on other data"), RunJournal(directory, RunFacts("x", 90, 20)):
        pass


def test_refuses_to_go_on_with_another_encoder(directory):
    write(directory, 1)
    changed = replace(FACTS, encoder="abc", precision="bfloat16")
    told = r"another encoder \(fingerprint None, now abc\) and another precision \(None, now bfloat16\)"
    with pytest.raises(RunConflict, match=told), RunJournal(directory, changed):
        pass


def test_runs_are_added_on_the_same_ground_only(tmp_path, directory):
    require_same_ground(tmp_path, FACTS)
    with RunJournal(directory, RunFacts("other", 90, 20)):
        pass
    require_same_ground(tmp_path, FACTS)  # begun, but without a round: there is nothing to stand beside
    shutil.rmtree(directory)
    write(directory, 1)
    require_same_ground(tmp_path, replace(FACTS, notes=()))
    with pytest.raises(RunConflict, match=rf"{directory.name} was begun on other data .*another --out"):
        require_same_ground(tmp_path, replace(FACTS, data_digest="x", pool_size=90))


def test_lines_that_do_not_parse_are_passed_over(tmp_path):
    path = tmp_path / "lines.jsonl"
    assert read_lines(path) == ()
    path.write_bytes(b'{"a": 1}\n{"b\n[1]\n{"c": 2}\n{"d": 3}')
    assert read_lines(path) == ({"a": 1}, {"c": 2})


HOLDER = """
import sys, time
from pathlib import Path
from nearmiss.experiment.journal import RunFacts, RunJournal
with RunJournal(Path(sys.argv[1]), RunFacts("digest", 100, 20)):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_and_no_lock_outlives_its_process(directory, monkeypatch):
    monkeypatch.setattr(journal_module, "_LOCK_PATIENCE_SECONDS", 0.2)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(directory)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunConflict, match="being written by another process"), RunJournal(directory, FACTS):
            pass
        holder.kill()
        holder.wait()
        write(directory, 1, finish=True)
    assert read_finished(directory, KEY) is not None


def test_waits_a_moment_for_a_lock_that_is_about_to_go(directory):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER.replace("60", "1"), str(directory)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        write(directory, 1)


@pytest.mark.parametrize("strategy", ["cal:k=5,features=tf/idf", "../../etc", "ÜBER", "a" * 300])
def test_directories_are_plain_names_whatever_the_strategy(tmp_path, strategy):
    spec = ExperimentSpec("imdb", (strategy,), (0,))
    path = run_directory(tmp_path, spec, RunKey(strategy, 0))
    assert path.parent == tmp_path / "runs"
    assert len(path.name) < 100
    assert path.name.isascii()


@pytest.mark.parametrize(
    "name, content",
    [
        ("done.json", "{}"),
        ("run.json", "{}"),
        ("run.json", '{"notes": null, "from_a_later_version": 1}'),
        ("rounds.jsonl", '{"round": 0}'),
        ("rounds.jsonl", '{"round": 0, "acquired": null}'),
        ("rounds.jsonl", ""),
    ],
)
def test_files_that_are_json_but_not_ours_are_refused_by_name(tmp_path, name, content):
    (tmp_path / "done.json").write_text('{"rounds": 1}\n')
    (tmp_path / "run.json").write_text(json.dumps(asdict(FACTS)) + "\n")
    (tmp_path / "rounds.jsonl").write_text(json.dumps(asdict(RoundRecord(0, 2, (1, 2), 0.5, 0.5, 0.7, 0.1))) + "\n")
    whole = read_finished(tmp_path, RunKey("random", 0))
    assert whole is not None
    assert whole.result.rounds[0].acquired == (1, 2)
    (tmp_path / name).write_text(content + "\n" if content else "")
    with pytest.raises(InvalidData, match=str(tmp_path)):
        read_finished(tmp_path, RunKey("random", 0))
