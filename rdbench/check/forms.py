"""The form of a channel: types, shapes, dtypes and normalised weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from rdbench.check.attempts import stream
from rdbench.check.problems import Probe
from rdbench.inference.product import fault_of_product
from rdbench.outcomes import in_words
from rdbench.types import (
    Atoms,
    Claim,
    Density,
    Encoder,
    Energy,
    Gaussians,
    Marginal,
    Product,
    Pushforward,
    TestChannel,
)

_SYMBOLS, _EACH, _DRAWS = 5, 3, 7
_ALLOWED = {
    "side": ("exact", "upper", "lower", "estimate"),
    "conditional_kind": ("boltzmann", "encoder"),
    "status": ("ok", "not_converged"),
}


def faults_of_channels(channels: Iterable[TestChannel], probe: Probe) -> list[str]:
    """The first fault of every channel that has one, with its slope."""
    found = ((channel.beta, fault_of_channel(channel, probe)) for channel in channels)
    return [f"beta = {beta:.4g}: {fault}" for beta, fault in found if fault]


def fault_of_channel(channel: Any, probe: Probe, claimed: bool = True) -> str:
    """The first thing wrong with the form of a channel, in words; empty where nothing is.

    Args:
        channel: what was yielded or built.
        probe: the problem it is for.
        claimed: whether its claim has to be a number (a checkpoint's has not).
    """
    if not isinstance(channel, TestChannel):
        return f"it is a {type(channel).__name__}, not a TestChannel"
    try:
        return next(_faults(channel, probe, claimed), "")
    except Exception as problem:  # an estimator's code may raise anything
        return f"using it raised {in_words(problem)}"


def _faults(channel: TestChannel, probe: Probe, claimed: bool) -> Iterator[str]:
    """One by one: what comes after a fault may need that it is not there."""
    yield from _of_labels(channel, claimed)
    yield from _of_marginal(channel.marginal, probe)
    x = _symbols(probe)
    given = x.clone()
    y = channel.sample_conditional(x, _EACH, stream("form", "y|x"))
    if not torch.equal(x, given):
        yield "sample_conditional writes into the x it is given"
    shape = (_SYMBOLS, _EACH, probe.dim)
    yield from _of_tensor("sample_conditional(x, k, generator)", y, shape, "(n, k, d)")


def _symbols(probe: Probe) -> Tensor:
    return probe.problem.source.sample(_SYMBOLS, stream("form", "x")).double()


def _of_labels(channel: TestChannel, claimed: bool) -> Iterator[str]:
    claim: Any = channel.claim
    if not isinstance(claim, Claim):
        yield f"its claim is a {type(claim).__name__}, not a Claim"
    for name, valid in _ALLOWED.items():
        value: Any = getattr(claim if name == "side" else channel, name)
        if value not in valid:
            yield f"its {name} is {value!r}, not {' or '.join(valid)}"
    for name in ("rate", "distortion"):
        value = getattr(claim, name)
        if isinstance(value, Tensor) or not isinstance(value, (int, float)):
            yield f"its claimed {name} is a {type(value).__name__}, not a float"
        if claimed and not math.isfinite(value):
            yield f"its claimed {name} is {value}"


def _of_marginal(marginal: Any, probe: Probe) -> Iterator[str]:
    if isinstance(marginal, Atoms):
        yield from _of_atoms(marginal, probe)
        return
    if not isinstance(marginal, Marginal):
        kind = type(marginal).__name__
        yield (
            f"its marginal is a {kind}, not Atoms, Density, Energy, Pushforward, Product or "
            "Gaussians"
        )
    draws = marginal.sample(_DRAWS, stream("form", "y"))
    shape = (_DRAWS, probe.dim)
    yield from _of_tensor("marginal.sample(n, generator)", draws, shape, "(n, d)")
    y = draws.detach().double()
    if isinstance(marginal, Density):
        yield from _of_tensor("log_prob(y)", marginal.log_prob(y), (_DRAWS,), "(n,)", False)
    elif isinstance(marginal, Energy):
        value, grad = marginal.value_and_grad(y)
        yield from _of_tensor("the energy's value", value, (_DRAWS,), "(n,)", False)
        yield from _of_tensor("the energy's gradient", grad, shape, "(n, d)")
        if not torch.allclose(marginal.at(y), value, rtol=1e-6, atol=1e-6):
            yield "the energy's value(y) is not what its value_and_grad(y) says"
    elif isinstance(marginal, Gaussians):
        yield from _of_gaussians(marginal, probe)
    elif isinstance(marginal, Product):
        fault = fault_of_product(marginal, probe.dim)
        yield from [fault] if fault else []
    else:
        yield from _of_pushforward(marginal, probe)


def _of_gaussians(q: Gaussians, probe: Probe) -> Iterator[str]:
    k, d = len(q.weights), probe.dim
    yield from _of_tensor("the mixture's weights", q.weights, (k,), "(k,)")
    yield from _of_tensor("the mixture's means", q.means, (k, d), "(k, d)")
    yield from _of_tensor("the mixture's covs", q.covs, (k, d, d), "(k, d, d)")
    if abs(float(q.weights.sum()) - 1.0) > 1e-6 or bool((q.weights < 0.0).any()):
        total = float(q.weights.sum())
        yield f"the mixture's weights are no probabilities: they sum to {total:.6g}"
    size = float(q.covs.abs().max())
    if float((q.covs - q.covs.transpose(1, 2)).abs().max()) > 1e-9 * size:
        yield "the mixture's covariances are not symmetric"
    elif float(torch.linalg.eigvalsh(q.covs).min()) < -1e-9 * size:
        yield "the mixture's covariances have negative eigenvalues"


def _of_atoms(atoms: Atoms, probe: Probe) -> Iterator[str]:
    m = len(atoms.points)
    yield from _of_tensor("the atoms' points", atoms.points, (m, probe.dim), "(m, d)")
    yield from _of_tensor("the atoms' log_weights", atoms.log_weights, (m,), "(m,)", False)
    total = float(atoms.log_weights.double().exp().sum())
    if abs(total - 1.0) > 1e-6:
        yield (
            f"the atoms' weights exp(log_weights) sum to {total:.6g}, not to one; this usually "
            "means that weights were given instead of their logs, or logits before a log_softmax"
        )


def _of_pushforward(marginal: Pushforward, probe: Probe) -> Iterator[str]:
    z = marginal.sample_latent(_DRAWS, stream("form", "z"))
    yield from _of_tensor("sample_latent", z, (_DRAWS, marginal.latent_dim), "(n, l)")
    z = z.detach().double()
    images = marginal.decode(z)
    yield from _of_tensor("decode(z)", images, (_DRAWS, probe.dim), "(n, d)")
    alone = torch.cat([marginal.decode(row[None]) for row in z])
    if not torch.allclose(alone, images, rtol=1e-4, atol=1e-4 * float(images.detach().abs().max())):
        yield (
            "decode maps a point differently when it comes in a batch; this usually means batch "
            "normalisation or dropout left in training mode"
        )
    yield from _of_tensor("the prior's log density", marginal.log_prior(z), (_DRAWS,), "(n,)")
    if marginal.encoder is not None:
        yield from _of_encoder(marginal.encoder, marginal.latent_dim, probe)


def _of_encoder(encoder: Encoder, latent_dim: int, probe: Probe) -> Iterator[str]:
    x = _symbols(probe)
    z = encoder.sample(x, _EACH, stream("form", "z|x"))
    shape = (_SYMBOLS, _EACH, latent_dim)
    yield from _of_tensor("encoder.sample(x, k, generator)", z, shape, "(n, k, l)")
    value = encoder.log_prob(z.detach().double(), x)
    yield from _of_tensor("encoder.log_prob(z, x)", value, (_SYMBOLS, _EACH), "(n, k)")


def _of_tensor(
    name: str, value: Any, shape: tuple[int, ...], letters: str, finite: bool = True
) -> Iterator[str]:
    """Not a float64 tensor of this shape with finite entries (or none that is NaN)."""
    if not isinstance(value, Tensor):
        yield f"{name} is a {type(value).__name__}, not a tensor"
    if tuple(value.shape) != shape:
        yield f"{name} has shape {tuple(value.shape)} where {letters} = {shape} is meant"
    if value.dtype != torch.float64:
        yield (
            f"{name} is {str(value.dtype).removeprefix('torch.')}, not float64: at a mean of 100 "
            "float32 loses what the audit measures; end with .double(), in source coordinates"
        )
    bad = ~torch.isfinite(value) if finite else torch.isnan(value)
    if bool(bad.any()):
        yield f"{name} has entries that are not finite" if finite else f"{name} has NaN entries"
