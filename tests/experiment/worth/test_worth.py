"""Simulated projects: that they are such as a person would have, and that what is said of them is judged rightly."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from nearmiss.errors import InvalidData, InvalidInput, RunConflict
from nearmiss.experiment.worth import campaign as campaigns
from nearmiss.experiment.worth.benches import RandomCurve, load_bench, true_random_curve
from nearmiss.experiment.worth.campaign import RECORDS, Campaign, carry_out, read_records, simulate
from nearmiss.experiment.worth.judging import Look, Said, Worth, judge_quality, judge_worth
from nearmiss.experiment.worth.projects import Bench, Plan, label_project
from nearmiss.experiment.worth.records import Coverage, ProjectRecord, Saving, coverage_of
from nearmiss.experiment.worth.report import figures, page, write_report
from nearmiss.experiment.worth.stopping import PRICE, Stop, stop_by_price, stop_by_target


def make_bench(n=500, seed=0, name="blobs", classes=3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centers = 2.5 * np.eye(classes, 6)
    features = (centers[labels] + rng.normal(size=(n, 6))).astype(np.float32)
    cut = n * 3 // 4
    return Bench(name, classes, features[:cut], labels[:cut], features[cut:], labels[cut:])


BENCH = make_bench()
PLAN = Plan(texts=300, labels=150, check_share=0.3)


@pytest.fixture(scope="module")
def track():
    return label_project(BENCH, PLAN, np.random.default_rng(1))


class TestProjects:
    def test_each_text_is_labelled_once_and_models_come_batch_by_batch(self, track):
        assert len(track.order) == len(set(track.order.tolist())) == 150
        assert 25 < track.checks.sum() < 65
        assert (np.diff(track.at) == 10).all()
        assert track.guesses.shape == (len(track.at), 300)
        assert (track.truth == BENCH.labels[track.rows]).all()

    def test_no_model_learns_from_a_check(self, track):
        for model in (0, len(track.at) - 1):
            assert track.picks(model) + len(track.check_rows(model)) == track.at[model]

    def test_what_was_guessed_is_what_the_model_of_that_time_said(self, track):
        last = len(track.at) - 1
        found = track.guessed(last)
        assert np.isnan(found[: track.at[0]]).all()
        place = int(track.at[3]) + 2
        row = track.order[place]
        assert found[place] == float(track.guesses[3, row] == track.truth[row])

    def test_the_same_seed_gives_the_same_project(self, track):
        again = label_project(BENCH, PLAN, np.random.default_rng(1))
        assert again.order.tolist() == track.order.tolist()
        assert again.guesses.tobytes() == track.guesses.tobytes()


class TestJudging:
    def test_the_truth_is_that_of_the_remaining_pool(self, track):
        looks = judge_quality(track, np.random.default_rng(0))
        last = looks[-1]
        rest = np.setdiff1d(np.arange(300), track.order[: last.labels])
        assert last.accuracy.true == pytest.approx((track.guesses[-1, rest] == track.truth[rest]).mean())
        assert last.checks == track.checks[: last.labels].sum()
        assert last.tested == track.tested[-1]
        assert last.changed == pytest.approx((track.guesses[-1] != track.guesses[-2]).mean())
        assert all(look.accuracy.low <= look.accuracy.high for look in looks)

    def test_worth_is_told_every_hundred_labels(self, track):
        curve = true_random_curve(BENCH)
        found = list(judge_worth(BENCH, track, curve, np.random.default_rng(0)))
        assert len(found) == 1
        assert found[0].checks >= 20
        assert set(found[0].forecasts) == {100, 500, 1000}
        assert not found[0].gains or 100 in found[0].gains

    def test_the_true_number_of_random_labels_is_read_off_the_curve(self):
        curve = RandomCurve(np.array([10, 100, 1_000]), np.array([0.5, 0.7, 0.9]))
        assert curve.equivalent(0.7) == pytest.approx(100)
        assert curve.equivalent(0.8) == pytest.approx(10**2.5)
        assert curve.equivalent(0.4) == 0
        assert math.isinf(curve.equivalent(0.91))
        assert curve.at(100) == pytest.approx(0.7)


def look(labels, tested, *, low=0.5, true=None, held=True, changed=0.0, recalls=None, checks=50):
    said = Said(tested, low, 1.0 if held else low, tested if true is None else true)
    return Look(labels, checks, said, said, recalls or {}, held, tested, changed)


LOOKS = [look(100 * n, 0.9 - 0.4 / n, low=0.8 - 0.4 / n) for n in range(1, 11)]


class TestStopping:
    def test_the_best_point_weighs_accuracy_against_labels(self):
        found = stop_by_price("budget:300", LOOKS, [])
        assert (found.stopped, found.labels) == (True, 300)
        gains = [look.tested - PRICE * look.labels for look in LOOKS]
        assert found.best_labels == LOOKS[int(np.argmax(gains))].labels
        assert found.last_accuracy == LOOKS[-1].tested

    def test_a_rule_that_never_stops_ends_with_the_project(self):
        found = stop_by_price("budget:5000", LOOKS, [])
        assert (found.stopped, found.labels) == (False, 1000)

    def test_forecasts_are_those_known_at_the_time(self):
        said = Said(1, 1, 1, 1)
        flat = Worth(500, 60, True, said, 0.1, False, {}, {100: (0.0, 0.0)})
        assert stop_by_price("gain:0.005/100", LOOKS, [flat]).labels == 500

    def test_a_target_is_best_met_where_it_is_passed_for_good(self):
        looks = [
            look(n, tested, low=low)
            for n, tested, low in [(10, 0.85, 0.1), (20, 0.7, 0.2), (30, 0.82, 0.75), (40, 0.9, 0.82)]
        ]
        found = stop_by_target(looks, [])
        assert found.rule == "target:0.8"
        assert (found.labels, found.best_labels) == (40, 30)


def record(dataset="blobs", number=0, always=True, savings=(), stops=()):
    widths = {100: 0.2}
    coverage = Coverage(10, always, True, always, True, False, True, 4, 3, widths, widths, 0.001)
    return ProjectRecord(dataset, number, PLAN, coverage, tuple(savings), tuple(stops))


SAVING = Saving(300, 80, True, 500.0, 300.0, math.inf, 700.0, 0.95, True, {100: Said(0.01, 0.0, 0.02, 0.015)})
STOP = Stop("target:0.8", True, 400, 0.85, 300, 0.8, 0.9)


class TestRecords:
    def test_a_line_holds_all_of_it(self):
        one = record(savings=[SAVING, replace(SAVING, true=math.inf)], stops=[STOP])
        assert ProjectRecord.from_line(one.as_line()) == one
        assert "Infinity" not in one.as_line()

    def test_one_miss_is_a_miss(self):
        looks = [look(10, 0.8, recalls={0: True, 1: True}), look(20, 0.8, held=False, low=0.9, recalls={0: False})]
        found = coverage_of(looks, np.random.default_rng(0))
        assert not found.always
        assert (found.recalls, found.recalls_always) == (2, 1)
        assert coverage_of(looks[:1], np.random.default_rng(0)).always

    def test_the_page_counts(self):
        found = figures([record(savings=[SAVING], stops=[STOP]), record("agnews", always=False, savings=[SAVING])])
        assert found["all"]["quality"]["always"] == 0.5
        assert found["held out"]["projects"] == found["blobs"]["projects"] == 1
        assert found["all"]["warnings"] == {"asked": 2, "warned": 2, "rightly": 2, "truly_worse": 2, "found": 2}
        assert found["all"]["savings"]["held_any"] == "100.0 %"
        assert found["all"]["stops"]["target"]["too_early"] == 0
        words = page(found)
        assert "| all | 2 | 50.0 % |" in words
        assert "nan" not in words


class TestCampaign:
    campaign = Campaign(("blobs",), projects=2, labels=80)

    @pytest.fixture(autouse=True)
    def blobs(self, monkeypatch):
        monkeypatch.setattr(campaigns, "load_bench", lambda name, data_dir: make_bench(name=name))

    def test_stopped_at_any_place_it_goes_on_to_the_same_bytes(self, tmp_path):
        whole = carry_out(self.campaign, tmp_path / "whole")
        first = carry_out(replace(self.campaign, projects=1), tmp_path / "parts")
        path = tmp_path / "parts" / RECORDS
        path.write_text(path.read_text() + '{"dataset": "blo')  # killed while writing
        assert carry_out(self.campaign, tmp_path / "parts") == whole
        assert first == whole[:1]
        assert path.read_bytes() == (tmp_path / "whole" / RECORDS).read_bytes()
        seen = []
        carry_out(self.campaign, tmp_path / "parts", on_project=seen.append)
        assert not seen

    def test_every_fourth_project_has_many_checks(self):
        plans = [Campaign(("blobs",)).plan(make_bench(20_000), number) for number in range(8)]
        assert [plan.check_share for plan in plans] == [0.2, 0.2, 0.2, 0.5] * 2
        assert {plan.labels for plan in plans} == {1_000, 2_000}
        assert all(2_500 <= plan.texts <= 5_000 for plan in plans)

    def test_records_of_another_plan_are_not_mixed_in(self, tmp_path):
        carry_out(replace(self.campaign, projects=1), tmp_path)
        with pytest.raises(RunConflict, match="another folder"):
            carry_out(replace(self.campaign, strategy="random"), tmp_path)

    def test_a_damaged_line_is_told(self, tmp_path):
        (tmp_path / RECORDS).write_text("{}\n" + record().as_line() + "\n")
        with pytest.raises(InvalidData, match="line 1"):
            read_records(tmp_path)
        assert read_records(tmp_path / "nowhere") == []

    @pytest.mark.parametrize("wrong", [{"datasets": ()}, {"projects": 0}, {"labels": 10}, {"check_share": 1.0}])
    def test_what_cannot_be_simulated_is_refused(self, wrong):
        with pytest.raises(InvalidInput):
            replace(self.campaign, **wrong)

    def test_a_report_is_written(self, tmp_path):
        bench = make_bench()
        plan = replace(self.campaign, projects=1).plan(bench, 0)
        one = simulate(bench, true_random_curve(bench), plan, 0)
        found = write_report([one], tmp_path)
        assert json.loads((tmp_path / "figures.json").read_text())["all"]["projects"] == 1
        assert (tmp_path / "README.md").read_text() == page(found)
        assert "NaN" not in (tmp_path / "figures.json").read_text()  # nothing was forecast a thousand labels ahead


def test_a_dataset_is_encoded_and_split(tmp_path):
    file = tmp_path / "films.csv"
    rows = [f"film number {n} was {'good' if n % 2 else 'bad'},{'yes' if n % 2 else 'no'}" for n in range(40)]
    file.write_text("text,label\n" + "\n".join(rows) + "\n")
    bench = load_bench(str(file), None, tmp_path / "cache")
    assert (bench.n_classes, len(bench.labels), len(bench.test_labels)) == (
        2,
        len(bench.features),
        len(bench.labels) // 3,
    )
    assert np.linalg.norm(bench.features, axis=1) == pytest.approx(np.ones(len(bench.labels)), abs=1e-3)
