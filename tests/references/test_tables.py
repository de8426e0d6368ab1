"""The tables of certified truth: complete for the suites, computed and checked by one command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rdbench.certify import identity
from rdbench.cli import main
from rdbench.references import certificates, shipped
from rdbench.references.certified import Certified
from rdbench.references.shipped import Table, rate_name, read_table
from rdbench.references.tables import wanted
from rdbench.report.references import write_report
from rdbench.suites import discrete, high_dimensional, planar, scalar

NAME = "discrete-random-500"


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("computed")
    folders = ["--out", str(tmp_path / "data"), "--report", str(tmp_path / "report")]
    assert main(["certify", "--suite", "discrete", *folders]) == 0
    return tmp_path


def test_the_report_links_the_pages_beside_it(computed: Path, tmp_path: Path) -> None:
    for name in ("verified.md", "digits-64.md", "README.md"):
        (tmp_path / name).write_text("another page")
    write_report(tmp_path, computed / "data", [])
    report = (tmp_path / "README.md").read_text()
    links = "[digits-64.md](digits-64.md), [verified.md](verified.md).\n\n| case |"
    assert f"2-core machine. Beside this page: {links}" in report


def _use(monkeypatch: pytest.MonkeyPatch, plain: dict[str, Any]) -> None:
    table = read_table(plain)
    monkeypatch.setattr(certificates, "shipped", lambda case: table if case else Table())


def _plain(folder: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((folder / "data" / f"{NAME}.json").read_text())
    return plain


def test_compute_report_and_check(
    computed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = _plain(computed)
    assert plain["case"] == NAME
    rates = discrete.SUITE.cases()[2].rates
    assert [rung["rate"] for rung in plain["rungs"]] == list(rates)
    report = (computed / "report" / "README.md").read_text()
    assert f"## {NAME}" in report
    assert "Beside this page" not in report
    assert len((computed / "report" / "log.txt").read_text().splitlines()) == len(rates)

    _use(monkeypatch, plain)
    capsys.readouterr()
    assert main(["certify", "--suite", "discrete", "--check", "--sample", "2"]) == 0
    assert "2 of 8 certificates computed again: all agree" in capsys.readouterr().out
    assert main(["certify", "--suite", "discrete", "--check", "--seconds", "0"]) == 1
    assert "nothing was computed again" in capsys.readouterr().err

    # planted: a bracket that misses F*, and one narrower than it can be made again
    for name, (lo, hi), word in (
        ("off", (0.01, 0.01), "do not meet"),
        ("narrow", (0.0, 0.0), "became wider"),
    ):
        rung = json.loads(json.dumps(plain))
        found = rung["rungs"][3]["certificate"]
        middle = 0.5 * (found["lo"] + found["hi"])
        if name == "narrow":
            # what cannot be reached now: the shipped promise is tighter than the solver's
            found.update(lo=middle, hi=middle, tolerance=1e-16)
        else:
            found.update(lo=middle + lo, hi=middle + hi)
        _use(monkeypatch, rung)
        capsys.readouterr()
        assert main(["certify", "--suite", "discrete", "--check"]) == 1
        assert word in capsys.readouterr().err


def test_what_is_computed_can_be_checked(
    computed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _plain(computed)["format"] == 1
    assert main(["verify", str(computed / "data" / f"{NAME}.json")]) == 0
    assert "8 verified, 0 rejected" in capsys.readouterr().out


def test_an_incomplete_table_is_a_fault(
    computed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = _plain(computed)
    del plain["rungs"][0]
    plain["rungs"][0]["sides"].pop()
    _use(monkeypatch, plain)
    assert main(["certify", "--suite", "discrete", "--check", "--sample", "1"]) == 1
    told = capsys.readouterr().err
    assert "no slope for R = 0.1" in told
    assert "no neighbour" in told


def test_another_version_of_the_solvers_is_a_fault(
    computed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _use(monkeypatch, _plain(computed))
    monkeypatch.setattr(identity, "CODE_VERSION", identity.CODE_VERSION + 1)
    assert main(["certify", "--suite", "discrete", "--check", "--sample", "1"]) == 1
    assert "by this version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ([], "give --out"),
        (["--check", "--out", "x"], "drop --out"),
        (["--suite", "vector_gaussian", "--check"], "every truth is a closed form"),
        (["--suite", "discrete", "--cases", "none*", "--check"], "discrete-random-500"),
        (["--suite", "nothing", "--check"], "nothing"),
        (["--suite", "nothing"], "unknown suite"),
        (["--suite", "discrete", "--check", "--sample", "0"], "at least 1"),
        (["--suite", "discrete", "--out", "/proc/self/none"], "cannot write to"),
    ],
)
def test_bad_requests(options: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certify", *options]) == 2
    told = capsys.readouterr().err
    assert word in told
    assert len(told.splitlines()) == 1


def test_what_the_suites_want() -> None:
    """Composites ask below their closed form only; products ask for their scalars."""
    two_modes = wanted(scalar.SUITE.cases())["scalar-two-modes"]
    assert 0.0 < max(two_modes.rates) < 0.8
    paper = wanted(planar.SUITE.cases())["planar-paper-d2"]
    assert max(paper.rates) < 1.2
    alone = wanted(scalar.SUITE.cases())["scalar-uniform-squared"]
    with_cubes = wanted([*scalar.SUITE.cases(), *high_dimensional.SUITE.cases()])
    both = with_cubes["scalar-uniform-squared"]
    assert [rate_name(r) for r in both.rates] == [rate_name(r) for r in alone.rates]


def test_no_table_is_no_error() -> None:
    assert shipped.shipped("") == Table()
    assert shipped.shipped("no-such-case") == Table()
    assert Certified(discrete.SUITE.cases()[2].problem, 1e-3).table == Table()
