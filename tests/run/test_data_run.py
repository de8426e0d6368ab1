"""``rdbench run --data`` from end to end: rows near the truth, stored, found again, refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rdbench.cli import main
from rdbench.data import DataSpec, build, described
from rdbench.registry import choose_all
from rdbench.run.ladders import Asked
from rdbench.run.plan import case_of, left_out, plan_data, usual
from rdbench.run.records import CellRecord
from rdbench.run.store import load
from rdbench.types import RdbenchError


def saved(folder: Path, n: int = 400, d: int = 1) -> Path:
    path = folder / "normal.npy"
    np.save(path, np.random.default_rng(11).normal(size=(n, d)))
    return path


def records_in(folder: Path) -> list[CellRecord]:
    return list(load(folder).records.values())


def test_the_population_of_a_gaussian(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """F(q) on 80 held-out rows agrees with F* of N(0, 1) within its interval."""
    out = tmp_path / "results"
    given = ["run", "--data", str(saved(tmp_path)), "--results", str(out), "--budget", "quick"]
    given += ["--estimators", "mixture_em", "--rates", "0.5,1.5"]
    assert main(given) == 0
    shown, said = capfd.readouterr()
    assert "R(D) of the population, of which the rows are a sample" in shown
    assert "400 rows, 1 column, float64" in said
    assert "320 rows to train on, 80 held out" in said
    assert "log(320) = 5.77 nats" in said
    (record,) = records_in(out)
    assert record.suite == "data"
    assert record.data is not None
    assert record.data["of"] == "population"
    assert record.cost.n_source_samples == 320
    assert [point.target_rate for point in record.points] == [0.5, 1.5]
    for point in record.points:
        assert point.truth_lo is None
        assert point.gap is None
        assert point.lagrangian is not None
        assert point.rate_half is not None
        assert point.distortion_half is not None
        assert point.rate is not None
        rate = 0.5 * math.log(2.0 * point.beta)
        half = point.rate_half + point.beta * point.distortion_half
        assert abs(point.lagrangian - (rate + 0.5)) < half
        assert point.target_rate == pytest.approx(point.rate, abs=2.0 * point.rate_half)
    assert (out / "figures").is_dir()
    points, band = sorted((out / "figures").glob("*.png"), key=lambda path: len(path.name))
    assert band.name == f"{points.stem}-band.png"
    # the same again, from a copy of the file: nothing is run
    assert main(given) == 0
    assert "1 cells, 1 stored already, 0 to run" in capfd.readouterr().out


def test_rows_are_summed_exactly(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two points at distance 1, squared error: R(D) is bracketed by a free reproduction's."""
    np.save(tmp_path / "x.npy", np.repeat([[0.0], [1.0]], 50, axis=0))
    out = tmp_path / "results"
    given = ["run", "--data", str(tmp_path / "x.npy"), "--of", "rows", "--results", str(out)]
    given += ["--budget", "quick", "--estimators", "wgd", "--betas", "20"]
    assert main(given) == 0
    assert "R(D) of these rows, which are the source; sums are exact" in capfd.readouterr().out
    (point,) = records_in(out)[0].points
    # at so large a slope the words are the points themselves, weights 1/2
    by_hand = math.log(2.0) - math.log1p(math.exp(-20.0))
    assert point.lagrangian == pytest.approx(by_hand, abs=2e-3)
    assert point.rate_half == 0.0


def test_letters_are_audited_against_their_certificate(tmp_path: Path) -> None:
    path = tmp_path / "colours.csv"
    path.write_text("colour\n" + "red\nblue\n" * 30)
    out = tmp_path / "results"
    given = ["run", "--data", str(path), "--of", "rows", "--distortion", "hamming"]
    assert main([*given, "--distortions", "0.11", "--budget", "quick", "--results", str(out)]) == 0
    (record,) = records_in(out)
    (point,) = record.points
    assert "for D = 0.11" in point.reason
    h = -(0.11 * math.log(0.11) + 0.89 * math.log(0.89))
    assert point.distortion == pytest.approx(0.11, rel=0.03)
    assert point.rate == pytest.approx(math.log(2.0) - h, rel=0.05)
    assert point.truth_lo is not None
    assert point.gap_hi == pytest.approx(0.0, abs=1e-4)


def test_a_worker_refuses_data_that_changed(tmp_path: Path) -> None:
    data = build(described(str(saved(tmp_path))))
    plan = plan_data(data, choose_all("wgd"), asked=Asked(betas=[1.0]))
    (cell,) = plan.cells
    assert case_of(cell).name == data.case.name
    assert cell.data is not None
    assert DataSpec(**cell.data).digest
    np.save(tmp_path / "normal.npy", np.random.default_rng(12).normal(size=(400, 1)))
    with pytest.raises(RdbenchError, match="has changed since the run was planned"):
        case_of(cell)


def test_who_runs_where_nobody_is_named(tmp_path: Path) -> None:
    path = str(saved(tmp_path))
    named = {
        name: usual(build(described(path, distortion=name)))
        for name in ("squared_error", "absolute_error")
    }
    np.save(tmp_path / "l.npy", np.arange(200) % 3)
    letters = usual(build(described(str(tmp_path / "l.npy"), distortion="hamming")))
    assert letters == "blahut_arimoto"
    for spec in (*named.values(), letters):
        assert choose_all(spec)


def test_particles_are_left_out_where_dimensions_outnumber_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.random.default_rng(4).normal(size=(110, 130)))
    wide = str(tmp_path / "wide.npy")
    for of, expected in (("population", False), ("rows", True)):
        data = build(described(wide, of=of))
        assert ("wgd" in usual(data).split(",")) is expected
        assert ("wgd is left out: in 130 dimensions" in left_out(data)) is not expected
    narrow = build(described(str(saved(tmp_path))))
    assert "wgd" in usual(narrow).split(",")
    assert not left_out(narrow)
