"""Estimators that misbehave in every way, side by side: none may harm another, each has its row."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable

import pytest

from rdbench.run.records import CellRecord
from rdbench.run.store import load

Start = Callable[..., "subprocess.Popen[str]"]

MODES = (
    "segfault", "good", "sleep", "hang", "raise", "nan", "die_after_three", "raise_after_three",
    "exit_zero", "hog", "garbage", "foreign_beta", "twice", "silent", "refuse", "unconverged",
    "polite",
)  # fmt: skip


class Faults:
    """One run of all of them."""

    def __init__(self, code: int, out: str, err: str, records: dict[str, CellRecord]) -> None:
        self.code, self.out, self.err, self.records = code, out, err, records

    def __getitem__(self, mode: str) -> CellRecord:
        return self.records[mode]

    def statuses(self, mode: str) -> list[str]:
        return [point.status for point in self[mode].points]


@pytest.fixture(scope="module")
def faults(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Faults:
    results = tmp_path_factory.mktemp("faults")
    specs = ",".join(f"toy[mode={mode}]" for mode in MODES)
    process = start(
        "run", "--suite", "toy_coin", "--estimators", specs, "--results", str(results),
        "--timeout", "1", "--jobs", "2", "--budget", "quick",
    )  # fmt: skip
    out, err = process.communicate(timeout=120)
    loaded = load(results)
    assert loaded.warnings == []
    records = {str(r.fields["mode"]): r for r in loaded.records.values()}
    return Faults(process.returncode, out, err, records)


def test_every_cell_leaves_a_record_and_the_run_says_that_some_failed(faults: Faults) -> None:
    assert set(faults.records) == set(MODES)
    assert faults.code == 1
    assert f"[{len(MODES)}/{len(MODES)}]" in faults.out


def test_every_slope_has_its_row_with_the_truth_filled_in(faults: Faults) -> None:
    for record in faults.records.values():
        assert [p.target_rate for p in record.points] == [0.1, 0.2, 0.3, 0.4]
        for point in record.points:
            truth = math.log(2.0) - math.log1p(math.exp(-point.beta))
            assert point.truth_lo == pytest.approx(truth, abs=1e-12)
            assert point.truth_hi == pytest.approx(truth, abs=1e-12)
            assert point.rate_lo == pytest.approx(point.target_rate, abs=1e-9)
            assert point.truth_kind == "closed form"


def test_the_good_one_is_untouched_by_its_neighbours(faults: Faults) -> None:
    good = faults["good"]
    assert good.status == "ok"
    assert faults.statuses("good") == ["ok"] * 4
    for point in good.points:
        assert point.gap == pytest.approx(0.0, abs=1e-9)
        assert point.claimed_rate == pytest.approx(point.target_rate, abs=1e-9)
    assert good.cost.n_source_samples == 100
    assert good.cost.gradient_steps == 8
    assert good.cost.n_parameters == 7
    assert good.cost.wall_s is not None
    assert good.cost.peak_rss_mb is not None
    assert good.provenance.jobs == 2
    assert good.provenance.versions["torch"]


def test_a_segfault_is_a_crash(faults: Faults) -> None:
    assert faults["segfault"].status == "crashed"
    assert "SIGSEGV" in faults["segfault"].reason
    assert faults.statuses("segfault") == ["crashed"] * 4


def test_an_exit_with_code_zero_is_a_crash_too(faults: Faults) -> None:
    assert faults["exit_zero"].status == "crashed"
    assert "exit code 0" in faults["exit_zero"].reason


@pytest.mark.parametrize("mode", ["sleep", "hang"])
def test_a_hang_is_killed_even_while_it_holds_the_interpreter_lock(
    faults: Faults, mode: str
) -> None:
    assert faults["sleep"].status == "timeout"
    assert faults.statuses(mode) == ["timeout"] * 4
    assert faults[mode].cost.wall_s == 1.0


def test_a_fit_that_listens_to_its_monitor_ends_by_itself(faults: Faults) -> None:
    # it yields what it has at each slope, all after the budget was spent
    assert faults.statuses("polite") == ["timeout"] * 4
    assert "budget" in faults["polite"].reason
    assert all(p.gap is not None for p in faults["polite"].points)


def test_an_exception_keeps_its_traceback(faults: Faults) -> None:
    record = faults["raise"]
    assert record.status == "error"
    assert record.reason == "RuntimeError: a planted fault"
    assert record.traceback is not None
    assert "in before" in record.traceback
    assert faults.statuses("raise") == ["error"] * 4


def test_nan_is_an_error(faults: Faults) -> None:
    assert faults.statuses("nan") == ["error"] * 4
    assert all("nan" in p.reason for p in faults["nan"].points)


@pytest.mark.parametrize(
    ("mode", "last"), [("die_after_three", "crashed"), ("raise_after_three", "error")]
)
def test_what_was_yielded_before_the_end_is_kept(faults: Faults, mode: str, last: str) -> None:
    assert faults.statuses(mode) == ["ok", "ok", "ok", last]
    assert faults[mode].status == last
    assert [p.gap is not None for p in faults[mode].points] == [True, True, True, False]
    assert faults[mode].cost.wall_s is not None


def test_running_out_of_memory_is_told_apart(faults: Faults) -> None:
    assert faults["hog"].status == "out_of_memory"
    assert faults.statuses("hog") == ["out_of_memory"] * 4
    assert faults["hog"].traceback is not None


def test_garbage_is_named_and_the_rest_kept(faults: Faults) -> None:
    assert faults["garbage"].status == "error"
    assert "yielded a dict" in faults["garbage"].reason
    assert faults.statuses("garbage") == ["ok", "error", "ok", "ok"]


def test_a_slope_nobody_asked_for_is_named(faults: Faults) -> None:
    assert "not among the slopes" in faults["foreign_beta"].reason
    assert faults.statuses("foreign_beta") == ["ok", "error", "ok", "ok"]


def test_a_slope_yielded_twice_is_an_error(faults: Faults) -> None:
    assert faults.statuses("twice") == ["ok", "error", "ok", "ok"]
    assert "twice" in faults["twice"].points[1].reason


def test_a_slope_never_yielded_is_an_error(faults: Faults) -> None:
    assert faults.statuses("silent") == ["ok", "ok", "ok", "error"]
    assert faults["silent"].points[3].reason == "no result at this slope"


def test_refusals_are_results(faults: Faults) -> None:
    assert faults["refuse"].status == "unsupported"
    assert faults.statuses("refuse") == ["unsupported"] * 4
    assert faults["refuse"].points[0].reason == "no coins"
    assert faults["unconverged"].status == "ok"
    assert faults.statuses("unconverged") == ["not_converged", "ok", "ok", "ok"]


def test_nothing_is_said_on_stderr_but_warnings(faults: Faults) -> None:
    assert "Traceback" not in faults.err
