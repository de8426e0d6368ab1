"""Estimators that misbehave in every way, side by side: none may harm another, each has its row."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from rdbench.run.records import CellRecord
from rdbench.run.store import load

Start = Callable[..., "subprocess.Popen[str]"]

WAYS = {
    # mode: (status of the cell, statuses of its slopes, words of the first reason that there is)
    "segfault": ("crashed", ["crashed"] * 4, "SIGSEGV"),
    "exit_zero": ("crashed", ["crashed"] * 4, "exit code 0"),
    "sleep": ("timeout", ["timeout"] * 4, "killed after"),
    "hang": ("timeout", ["timeout"] * 4, "killed after"),  # it holds the interpreter lock
    "stopped": ("timeout", ["timeout"] * 4, "killed after 1 s of fitting"),
    "deaf": ("timeout", ["timeout"] * 4, "killed after 1 s of fitting"),
    "own_alarm": ("timeout", ["timeout"] * 4, "killed after 1 s of fitting"),
    "heir": ("crashed", ["crashed"] * 4, "exit code 3"),
    "stopped_in_audit": ("timeout", ["timeout"] * 4, "killed after 15 s during the audit"),
    # it listens to its monitor and yields what it has at each slope, after the budget was spent
    "polite": ("timeout", ["timeout"] * 4, "budget"),
    "raise": ("error", ["error"] * 4, "RuntimeError: a planted fault"),
    "nan": ("error", ["error"] * 4, "nan"),
    # what was yielded before the end is kept
    "die_after_three": ("crashed", ["ok", "ok", "ok", "crashed"], "SIGSEGV"),
    "raise_after_three": ("error", ["ok", "ok", "ok", "error"], "had enough"),
    "hog": ("out_of_memory", ["out_of_memory"] * 4, ""),
    "device_hog": ("out_of_memory", ["out_of_memory"] * 4, "CUDA out of memory"),
    "garbage": ("error", ["ok", "error", "ok", "ok"], "yielded a dict"),
    "foreign_beta": ("error", ["ok", "error", "ok", "ok"], "not among the slopes"),
    "twice": ("error", ["ok", "error", "ok", "ok"], "twice"),
    "silent": ("error", ["ok", "ok", "ok", "error"], "no result at this slope"),
    # texts that cannot be written as they are
    "poison": ("error", ["error"] * 4, r"RuntimeError: \ud800 \x1b[2Jxxx"),
    "mute": ("error", ["error"] * 4, "no words"),
    "poison_refusal": ("unsupported", ["unsupported"] * 4, r"\ud800 \x1b[2Jxxx"),
    # refusals are results
    "refuse": ("unsupported", ["unsupported"] * 4, "no coins"),
    "unconverged": ("ok", ["not_converged", "ok", "ok", "ok"], "too shy"),
    "own_output": ("error", ["error"] * 4, "see above"),
    "breeder": ("ok", ["ok"] * 4, ""),
    "good": ("ok", ["ok"] * 4, ""),
}


@dataclass
class Faults:
    """One run of all of them."""

    code: int
    out: str
    err: str
    records: dict[str, CellRecord]
    left: list[psutil.Process]
    """Processes that any of them started and that live when the run has ended."""
    scratch: list[Path]
    """Our temporary files then."""


def scratch_of(process: psutil.Process) -> str | None:
    """The folder for temporary files that a process was started with."""
    try:
        return process.environ().get("TMPDIR")
    except psutil.Error:
        return None


@pytest.fixture(scope="module")
def faults(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Faults:
    results = tmp_path_factory.mktemp("faults")
    # Of its own: what is in it, and who was started with it, can be told from others.
    scratch = str(tmp_path_factory.mktemp("own"))
    specs = ",".join(f"toy[mode={mode}]" for mode in WAYS)
    process = start(
        "run", "--suite", "toy_coin", "--estimators", specs, "--results", str(results),
        "--timeout", "1", "--audit-timeout", "15", "--jobs", "2", "--budget", "quick",
        tmpdir=scratch,
    )  # fmt: skip
    out, err = process.communicate(timeout=300)
    left = [one for one in psutil.process_iter() if scratch_of(one) == scratch]
    loaded = load(results)
    assert loaded.warnings == []
    records = {str(r.fields["mode"]): r for r in loaded.records.values()}
    files = [one for one in Path(scratch).iterdir() if "rdbench" in one.name or "pymp" in one.name]
    return Faults(process.returncode, out, err, records, left, files)


def test_every_cell_leaves_a_record_and_the_run_says_that_some_failed(faults: Faults) -> None:
    assert set(faults.records) == set(WAYS)
    assert faults.code == 1
    assert f"[{len(WAYS)}/{len(WAYS)}]" in faults.out
    assert "Traceback" not in faults.err


def test_nothing_outlives_a_cell(faults: Faults) -> None:
    assert faults.left == []
    assert faults.scratch == []


def test_what_a_cell_prints_is_shown_where_it_failed_and_speaks_to_no_terminal(
    faults: Faults,
) -> None:
    assert "| its last words" in faults.out
    assert "y" * 20_000 not in faults.out
    assert faults.out.count("its output ends:") < len(WAYS) / 2


@pytest.mark.parametrize("mode", WAYS)
def test_what_went_wrong_is_told(faults: Faults, mode: str) -> None:
    status, statuses, words = WAYS[mode]
    record = faults.records[mode]
    assert record.status == status
    assert [point.status for point in record.points] == statuses
    reasons = [record.reason, *(point.reason for point in record.points)]
    assert words in next((reason for reason in reasons if reason), "")
    for point in record.points:
        audited = point.status == "ok" or mode == "polite"
        assert audited <= (point.gap is not None)


def test_texts_of_estimators_are_bounded_and_harmless(faults: Faults) -> None:
    for mode in ("poison", "poison_refusal"):
        record = faults.records[mode]
        assert len(record.traceback or "") < 60_000
        assert len(record.reason) + sum(len(point.reason) for point in record.points) < 12_000
    assert "in before" in str(faults.records["poison"].traceback)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", faults.out + faults.err)


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
    good = faults.records["good"]
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


def test_the_record_of_a_failure_keeps_its_traceback_and_its_cost(faults: Faults) -> None:
    for mode in ("raise", "hog"):
        assert faults.records[mode].traceback is not None
    assert "in before" in str(faults.records["raise"].traceback)
    for mode in ("sleep", "hang"):
        assert faults.records[mode].cost.wall_s == 1.0
    for mode in ("die_after_three", "raise_after_three"):
        assert faults.records[mode].cost.wall_s is not None
