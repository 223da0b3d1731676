import signal
import subprocess
import sys
import time

import pytest

from nearmiss.experiment.crew import Worker


@pytest.fixture
def worker(tmp_path):
    hired = Worker(tmp_path / "logs", threads=1)
    yield hired
    hired.stop()


@pytest.mark.parametrize(
    "number, told",
    [(signal.SIGKILL, "killed (signal 9), most likely for want of memory"), (signal.SIGTERM, "was ended by SIGTERM")],
)
def test_says_how_a_worker_died(worker, number, told):
    worker.kill(number)
    with pytest.raises(EOFError):
        worker.receive()
    assert told in worker.obituary()


def test_a_death_with_last_words_is_told_with_them(worker):
    worker.log.write_text("first line\nImportError: libmissing.so\n")
    worker.kill(signal.SIGTERM)
    assert f"SIGTERM: ImportError: libmissing.so (all of it in {worker.log})" in worker.obituary()


def test_stopping_is_final_and_leaves_no_empty_log(worker, alive):
    assert worker.log.exists()
    worker.stop()
    worker.stop()
    assert not alive(worker.pid)
    assert not worker.log.parent.exists()


PARENT = """
import sys, time
from pathlib import Path
from nearmiss.experiment.crew import Worker
print(Worker(Path(sys.argv[1]), threads=1).pid, flush=True)
time.sleep(60)
"""


def test_a_worker_does_not_outlive_a_killed_parent(tmp_path, alive):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)
