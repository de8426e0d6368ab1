"""The asv suites on one measured run, also where something is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import _measured, accuracy, cost, kernels, memory, startup
from benchmarks._cases import BANDS, CASES, ESTIMATORS, ONLY, CaseFailed, modules
from benchmarks._kernels import KERNELS, Kernel

CASE = next(case for case in CASES if case.name == "laplacian-squared")
GAPS = {"low": 0.02, "middle": -0.003, "high": 4e-4}


def measured_run(**changes):
    """A run of wgd: three points, their cell, and two looks on the way."""
    head = {"estimator": "wgd", "case": CASE.name}
    points = [
        {
            **head,
            "target_rate": str(rate),
            "beta": str(10 * rate),
            "status": "not_converged" if band == "low" else "ok",
            "reason": "",
            "gap": str(GAPS[band]),
            "gap_lo": "",
            "gap_hi": str(GAPS[band] + 0.002),
            "cpu_s": "4.0",
            "wall_s": "5.0",
        }
        for band, rate in zip(BANDS, CASE.rates, strict=True)
    ]
    cell = {**head, "status": "ok", "wall_s": "5.0", "cpu_s": "4.0", "peak_rss_mb": "300.5"}
    looks = [
        {**head, "beta": str(10 * rate), "gap": "0", "gap_hi": str(upper), "cpu_s": str(cpu)}
        for rate in CASE.rates
        for cpu, upper in ((1.0, 0.2 if rate == CASE.rates[0] else 0.04), (2.5, 0.03))
    ]
    run = {"points": points, "cells": [cell], "traces": looks}
    return {**run, "cases": [CASE.name], "estimators": ["wgd"], "failures": {}, **changes}


def test_one_set_up_serves_every_suite_that_reads_the_run():
    assert accuracy.setup_cache is cost.setup_cache is memory.setup_cache is _measured.measured
    assert vars(_measured.measured)["timeout"] >= 1800  # seconds; asv's own limit is 60


@pytest.mark.parametrize(
    "suite",
    [accuracy.Gap, cost.Fit, cost.ToGap, memory.Memory, kernels.Cpu, startup.Wall, startup.Cpu],
)
def test_results_are_kept_by_explicit_versions(suite):
    assert suite.version.isdigit()
    assert len(suite.params) == len(suite.param_names)
    assert all(len(set(values)) == len(values) > 0 for values in suite.params)


def test_the_gap_is_absolute_with_a_floor_and_comes_with_its_doubt():
    run, gap = measured_run(), accuracy.Gap()
    found = {band: gap.track_estimate(run, "wgd", CASE.name, band) for band in BANDS}
    assert found == {"low": 0.02, "middle": 0.003, "high": accuracy.FLOOR}
    upper = {band: gap.track_upper(run, "wgd", CASE.name, band) for band in BANDS}
    assert upper == pytest.approx({"low": 0.022, "middle": accuracy.FLOOR, "high": 0.0024})


def test_exact_audits_have_finer_floors():
    assert accuracy.floored(0.0, "wgd", CASE.name) == 1e-3
    assert accuracy.floored(0.0, "blahut_arimoto", CASE.name) == 1e-5
    assert accuracy.floored(0.0, "blahut_arimoto", "random-500") == 1e-9
    assert all(name in _measured.CASE_NAMES for name in accuracy.FINITE)
    assert all(name in ESTIMATORS for name in accuracy.FINER)


@pytest.mark.parametrize("status", ["error", "unsupported", "timeout"])
def test_a_point_without_a_gap_is_a_failure_with_its_reason(status):
    run = measured_run()
    run["points"][1] |= {"gap": "", "gap_hi": "", "status": status, "reason": "the reason"}
    for track in (accuracy.Gap().track_estimate, accuracy.Gap().track_upper):
        with pytest.raises(CaseFailed, match=f"{status}: the reason"):
            track(run, "wgd", CASE.name, "middle")
    # A fit that missed a rate is not a fast one, nor a small one.
    for consumed in (cost.Fit().track_cpu, cost.Fit().track_wall, memory.Memory().track_peak):
        with pytest.raises(CaseFailed, match="the reason"):
            consumed(run, "wgd", CASE.name)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_number_never_reaches_asv(value):
    run = measured_run()
    run["points"][0]["gap_hi"] = value
    with pytest.raises(CaseFailed):
        accuracy.Gap().track_upper(run, "wgd", CASE.name, "low")
    run = measured_run()
    run["cells"][0]["peak_rss_mb"] = value
    with pytest.raises(CaseFailed):
        memory.Memory().track_peak(run, "wgd", CASE.name)


def test_a_case_that_failed_says_why():
    run = measured_run(points=[], cells=[], failures={CASE.name: "exit code 2: no such case"})
    with pytest.raises(CaseFailed, match="no such case"):
        accuracy.Gap().track_estimate(run, "wgd", CASE.name, "low")
    run = measured_run()
    del run["points"][2]
    with pytest.raises(CaseFailed, match=r"R = 1\.8"):
        accuracy.Gap().track_estimate(run, "wgd", CASE.name, "high")


def test_what_does_not_exist_is_not_available():
    run = measured_run()
    with pytest.raises(NotImplementedError, match="not run on ramp-d5"):
        accuracy.Gap().setup(run, "blahut_arimoto", "ramp-d5", "low")
    with pytest.raises(NotImplementedError, match="this commit has no nerd"):
        memory.Memory().setup(run, "nerd", CASE.name)
    with pytest.raises(NotImplementedError, match="not expected"):
        cost.ToGap().setup(run | {"estimators": ["ebrd"]}, "ebrd", CASE.name, 0.01)
    accuracy.Gap().setup(run, "wgd", CASE.name, "low")
    cost.ToGap().setup(run, "wgd", CASE.name, 0.01)


def test_cost_is_that_of_the_whole_ladder_and_time_to_a_gap_that_of_the_slowest_rate():
    run, to_gap = measured_run(), cost.ToGap()
    assert cost.Fit().track_wall(run, "wgd", CASE.name) == 5.0
    assert cost.Fit().track_cpu(run, "wgd", CASE.name) == 4.0
    assert memory.Memory().track_peak(run, "wgd", CASE.name) == 300.5
    # Two rates have .04 after one second, the low one .03 after two and a half.
    assert to_gap.track_cpu(run, "wgd", CASE.name, 0.05) == 2.5
    # No look is as good as .025, but the end is.
    assert to_gap.track_cpu(run, "wgd", CASE.name, 0.025) == 4.0
    with pytest.raises(CaseFailed, match=r"no gap of 0\.01 nats at the low rate"):
        to_gap.track_cpu(run, "wgd", CASE.name, 0.01)


def test_the_table_of_targets_names_what_is_run():
    for estimator, case, target in cost.REACHED:
        assert case in _measured.TRACED
        assert target in cost.TARGETS
        assert estimator in next(known for known in CASES if known.name == case).estimators


def test_every_built_in_estimator_is_watched_whether_file_or_folder(tmp_path):
    for name in ("one.py", "_part.py", "__init__.py", "two/__init__.py", "_three/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert modules(tmp_path) == {"one", "two"}
    assert {name for case in CASES for name in case.estimators} == set(ESTIMATORS)
    assert set(ONLY) <= set(ESTIMATORS)


@pytest.fixture
def ran(monkeypatch):
    """The calls of the command line: case, estimators, whether traced; one case breaks."""
    calls = []

    def run(python, case, results, *, estimators, trace):
        calls.append((case.name, estimators, trace))
        if case.name == CASE.name:
            raise CaseFailed("it broke")

    monkeypatch.setattr(_measured, "run", run)
    monkeypatch.setattr(_measured, "exported", lambda python, results, what: [{"what": what}])
    return calls


def test_the_run_goes_on_after_a_case_that_fails(ran):
    found = _measured.measured()
    assert [name for name, _, _ in ran] == [case.name for case in CASES]
    assert tuple(name for name, _, traced in ran if traced) == _measured.TRACED
    assert found["failures"] == {CASE.name: "it broke"}
    assert found["estimators"] == list(ESTIMATORS)
    assert found["traces"] == [{"what": "traces"}]


def test_a_dry_run_may_leave_cases_out(ran, monkeypatch):
    monkeypatch.setenv("RDBENCH_ASV_CASES", "random-500")
    found = _measured.measured()
    assert [name for name, _, _ in ran] == ["random-500"]
    with pytest.raises(NotImplementedError, match="left out"):
        accuracy.Gap().setup(found, "wgd", CASE.name, "low")
    monkeypatch.setenv("RDBENCH_ASV_CASES", "random-500,other")
    with pytest.raises(CaseFailed, match=r"other.*laplacian-squared"):
        _measured.measured()


def test_an_estimator_that_a_commit_lacks_is_not_asked_for(ran, monkeypatch):
    monkeypatch.setattr(_measured, "find_spec", lambda name: None if "nerd" in name else name)
    assert "nerd" not in _measured.measured()["estimators"]
    assert not any("nerd" in names for _, names, _ in ran)
    assert all("wgd" in names for _, names, _ in ran[:4])


def test_a_start_that_fails_is_no_measurement(monkeypatch):
    monkeypatch.setitem(startup.COMMANDS, "broken", ("-c", "raise SystemExit(3)"))
    with pytest.raises(RuntimeError, match="broken: exit code 3"):
        startup.Wall().time_command("broken")


def test_memory_is_kept_before_a_kernel_is_made_and_a_wrong_one_is_not_timed(monkeypatch):
    done = []  # this process goes on to test other things and must not keep its memory

    def check(result):
        assert result == 2

    def make():
        done.append("made")
        return Kernel(work=lambda: 1, check=check)

    monkeypatch.setattr(kernels, "keep_memory", lambda: done.append("kept"))
    monkeypatch.setitem(KERNELS, "wrong", make)
    with pytest.raises(AssertionError):
        kernels.Cpu().setup("wrong")
    assert done == ["kept", "made"]


def test_nothing_heavy_is_imported_to_list_the_suites():
    """asv starts a process for every number: torch in each would be most of the time."""
    root = Path(_measured.__file__).parents[1]
    names = "accuracy, cost, kernels, memory, startup"
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); from benchmarks import {names}; "
        "sys.exit(sorted({'torch', 'rdbench'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
