"""What is measured on a GPU runs on any device; its figures are for a GPU to give."""

import pytest
import torch
from benchmarks.device import Sizes, agreements, measured
from benchmarks.device_reading import Shape
from benchmarks.device_reading import measured as reading_measured
from benchmarks.results import Figure, Note, Table
from benchmarks.traffic import HostTraffic

from benchmarks import __main__ as benchmark

CPU = torch.device("cpu")
TINY = Sizes(n=300, m=40, d=16, C=2, b=20, b_cover=4)


def test_every_way_is_timed_and_its_copies_counted():
    items = list(measured(TINY, TINY, CPU, 2))
    timed = [item for item in items if isinstance(item, Figure) and item.unit == "s"]
    assert len(timed) == 6
    assert all(len(each.raw["ours"]) == 2 for each in timed)
    (table,) = (item for item in items if isinstance(item, Table))
    assert [row[1:] for row in table.rows] == [["0.0", "0.0", "0", "0.0", "0"]] * 6, "nothing leaves a CPU"


def test_a_device_agrees_with_itself():
    table, note = agreements(TINY, CPU)
    assert all(row[1].split(" of ")[0] == row[1].split(" of ")[1] == row[2] for row in table.rows)
    assert "at most 0.0e+00 nats" in note.text
    assert "100.00%" in note.text


def test_a_random_model_is_read_in_every_way():
    *figures, note = reading_measured(Shape(layers=2, width=32, heads=4, inner=48), 24, "cpu", 1)
    cosines = [each for each in figures if each.unit == ""]
    assert len(figures) == 4
    assert cosines[0].ours > 0.9999, "float32"
    assert cosines[1].ours > 0.99, "bfloat16"
    assert isinstance(note, Note)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_its_sections_are_skipped_and_nothing_is_written(tmp_path, capsys):
    assert benchmark.main(["--only", "cuda-selection,cuda-inference", "--out", str(tmp_path)]) == 0
    assert "cuda-selection, cuda-inference skipped: this machine has no CUDA device" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="kept apart"):
        benchmark.main(["--only", "cuda-selection,badge", "--out", str(tmp_path)])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_copies_to_and_from_a_device_are_counted():
    with HostTraffic() as traffic:
        there = torch.zeros(10, dtype=torch.float32).to("cuda")
        there.double().cpu()
        float(there[3])
    assert (traffic.up, traffic.down, traffic.waits) == ([40], [80], 1)
