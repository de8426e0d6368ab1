"""Lower twins: 1 / Z of a channel's q, by name, capped, the same at every call."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from rdbench import registry
from rdbench.audit import SIZES, audit
from rdbench.distortions import SquaredError
from rdbench.fitting.duals import bounded
from rdbench.fitting.partition import log_partition
from rdbench.fitting.samples import Sample
from rdbench.references.gaussian import WaterFilling
from rdbench.references.unknown import Unknown
from rdbench.run.meaning import of_estimator
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.mixture import GaussianMixture, paper_mixture
from rdbench.sources.sample import SampleSource
from rdbench.types import Atoms, Audited, Density, DualBound, Energy, Problem, RdbenchError
from tests.estimators.conftest import FakeMonitor, seeded, view_of


def test_a_twin_is_called_by_its_name_and_keeps_the_settings():
    choice = registry.choose("wgd+lower[particles=50]")
    assert choice.label == "wgd+lower[particles=50]"
    assert choice.estimator.info.side == "lower"
    again = registry.rebuild(choice.name, {"particles": 50})
    assert again == choice.estimator
    assert of_estimator(type(again)) != of_estimator(registry.load_estimator("wgd"))


def test_every_upper_estimator_gets_its_twin_and_no_lower_one():
    choices = registry.choose_all("wgd:paper,csiszar_dual,mixture_em[components=2]")
    labels = [one.label for one in registry.sandwiched(choices)]
    assert labels == [
        "wgd:paper", "wgd+lower:paper", "csiszar_dual", "mixture_em[components=2]",
        "mixture_em+lower[components=2]",
    ]  # fmt: skip
    with pytest.raises(RdbenchError, match="is a lower bound"):
        registry.choose("csiszar_dual+lower")
    with pytest.raises(RdbenchError, match="unknown estimator"):
        registry.choose("nobody+lower")


def test_log_partitions_of_atoms_mixtures_and_draws():
    beta, g = 1.5, seeded()
    x = paper_mixture().sample(50, g)
    points = torch.randn(30, 2, generator=g, dtype=torch.float64)
    weights = torch.log_softmax(torch.randn(30, generator=g, dtype=torch.float64), 0)
    log_z, what = log_partition(Atoms(points, weights), SquaredError(), beta, g)
    z = torch.exp(-beta * torch.cdist(x, points).square()) @ weights.exp()
    assert what == "atoms"
    assert torch.allclose(log_z(x), z.log(), atol=1e-9)
    eye = torch.eye(2, dtype=torch.float64)
    q = GaussianMixture(torch.tensor([0.3, 0.7]), points[:2], torch.stack([eye, 0.5 * eye]))
    x = q.sample(50, g)
    truth = q.log_partition(x, beta)
    exact, _ = log_partition(
        Density(q.sample, q.log_prob, q.proposal(beta)), SquaredError(), beta, g
    )
    assert torch.allclose(exact(x), truth, atol=1e-9)
    drawn, what = log_partition(Energy(q.sample, q.energy_and_grad), SquaredError(), beta, g)
    assert what == "4096 draws of q"
    near = truth > -4.0
    assert float((drawn(x) - truth)[near].abs().max()) < 0.3
    assert torch.equal(drawn(x), drawn(x))


def test_a_lambda_that_grows_in_the_tails_is_capped():
    # Two atoms at +-1: 1 / Z grows as exp(beta x^2), c without a cap has no finite maximum.
    beta, g = 2.0, seeded()
    atoms = Atoms(torch.tensor([[-1.0], [1.0]]).double(), torch.tensor([0.5, 0.5]).double().log())
    log_z, _ = log_partition(atoms, SquaredError(), beta, g)
    source = scalar_gaussian()
    sample = Sample.of(source.sample(20_000, g), g)
    found = bounded(beta, lambda x: -log_z(x), sample, SquaredError(), g)
    assert "capped" in found.made_of
    problem, reference = Problem(source, SquaredError()), WaterFilling(source)
    audited = audit(found, problem, reference, size=SIZES["quick"], generator=seeded(5))
    assert 0.0 < audited.gap < 0.8
    assert found.claim < audited.lagrangian_hi + 0.05
    bare = DualBound(beta, lambda x: -log_z(x), found.peaks, 0.0)
    uncapped = audit(bare, problem, reference, size=SIZES["quick"], generator=seeded(5))
    assert not uncapped.accepted  # rare symbols rule c: there is no value
    assert uncapped.gap_hi > 2.0


def test_rows_are_capped_by_what_other_rows_will_vouch_for():
    source, g = vector_gaussian(2), seeded(3)
    reference = WaterFilling(source)
    beta = reference.slope(1.0)
    rows, held_out = source.sample(240, g).double(), source.sample(60, g).double()
    problem = Problem(SampleSource("rows", rows, held_out, "digest"), SquaredError())

    def optimal(x: torch.Tensor) -> torch.Tensor:
        return reference.potential(x, beta)

    def weighed(bound: DualBound) -> Audited:
        return audit(bound, problem, Unknown(), size=SIZES["quick"], generator=seeded(5))

    sample = Sample.of(rows, g, fixed=True)
    assert sum(len(fold) for fold in sample.folds) == len(rows)
    capped = bounded(beta, optimal, sample, SquaredError(), g)
    found, bare = weighed(capped), weighed(replace(capped, log_lambda=optimal))
    truth = reference.point(beta).lagrangian.mid
    assert bare.lagrangian_lo < found.lagrangian_lo - 1.0
    assert truth - 1.3 < found.lagrangian_lo < truth


def test_letters_that_come_again_are_the_source():
    g = seeded()
    draws = torch.randint(5, (1000, 1), generator=g).double()
    sample = Sample.of(draws, g)
    assert sample.tails is None
    assert sample.x.shape == (5, 1)
    assert sample.mean(sample.x[:, 0]) == pytest.approx(float(draws.mean()))


def test_the_twin_of_a_good_channel_is_a_good_bound():
    source = vector_gaussian(2)
    reference = WaterFilling(source)
    betas = [reference.slope(1.0), reference.slope(3.0)]
    twin = registry.choose("mixture_em+lower").estimator
    monitor = FakeMonitor(effort=0.3, build_every=1)
    bounds = list(twin.fit(view_of(source), betas, seeded(), monitor))
    assert [type(one) for one in bounds] == [DualBound, DualBound]
    assert not any(monitor.looks)
    for bound in bounds:
        assert isinstance(bound, DualBound)
        found = audit(
            bound, Problem(source, SquaredError()), reference, size=SIZES["quick"],
            generator=seeded(7),
        )  # fmt: skip
        assert -0.03 < found.gap < 0.15
        assert math.isfinite(bound.claim)
