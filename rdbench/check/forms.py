"""The form of a channel: types, shapes, dtypes and normalised weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from rdbench.check.attempts import stream
from rdbench.check.problems import Probe
from rdbench.outcomes import in_words
from rdbench.types import Atoms, Claim, Density, Encoder, Energy, Pushforward, TestChannel

_SYMBOLS, _EACH, _DRAWS = 5, 3, 7


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
        return (
            _fault_of_labels(channel, claimed)
            or _fault_of_marginal(channel, probe)
            or _fault_of_conditional(channel, probe)
        )
    except Exception as problem:  # an estimator's code may raise anything
        return f"using it raised {in_words(problem)}"


def _fault_of_labels(channel: TestChannel, claimed: bool) -> str:
    claim: Any = channel.claim
    if not isinstance(claim, Claim):
        return f"its claim is a {type(claim).__name__}, not a Claim"
    if claim.side not in ("exact", "upper", "lower", "estimate"):
        return f"its claim's side is {claim.side!r}, not exact, upper, lower or estimate"
    if channel.conditional_kind not in ("boltzmann", "encoder"):
        return f"its conditional_kind is {channel.conditional_kind!r}, not boltzmann or encoder"
    if channel.status not in ("ok", "not_converged"):
        return f"its status is {channel.status!r}, not ok or not_converged"
    for name in ("rate", "distortion"):
        value: Any = getattr(claim, name)
        if isinstance(value, Tensor) or not isinstance(value, (int, float)):
            return f"its claimed {name} is a {type(value).__name__}, not a float"
        if claimed and not math.isfinite(value):
            return f"its claimed {name} is {value}"
    return ""


def _fault_of_conditional(channel: TestChannel, probe: Probe) -> str:
    x = probe.problem.source.sample(_SYMBOLS, stream("form", "x")).double()
    given = x.clone()
    y = channel.sample_conditional(x, _EACH, stream("form", "y|x"))
    if not torch.equal(x, given):
        return "sample_conditional writes into the x it is given"
    return _fault_of_tensor(
        "sample_conditional(x, k, generator)", y, (_SYMBOLS, _EACH, probe.dim), "(n, k, d)"
    )


def _fault_of_marginal(channel: TestChannel, probe: Probe) -> str:
    marginal: Any = channel.marginal
    if not isinstance(marginal, (Atoms, Density, Energy, Pushforward)):
        return (
            f"its marginal is a {type(marginal).__name__}, "
            "not Atoms, Density, Energy or Pushforward"
        )
    if isinstance(marginal, Atoms):
        return _fault_of_atoms(marginal, probe)
    draws = marginal.sample(_DRAWS, stream("form", "y"))
    fault = _fault_of_tensor("marginal.sample(n, generator)", draws, (_DRAWS, probe.dim), "(n, d)")
    if fault:
        return fault
    y = draws.detach().double()
    if isinstance(marginal, Density):
        return _fault_of_tensor("log_prob(y)", marginal.log_prob(y), (_DRAWS,), "(n,)", False)
    if isinstance(marginal, Energy):
        value, grad = marginal.value_and_grad(y)
        return _fault_of_tensor(
            "the energy's value", value, (_DRAWS,), "(n,)", False
        ) or _fault_of_tensor("the energy's gradient", grad, (_DRAWS, probe.dim), "(n, d)")
    return _fault_of_pushforward(marginal, probe)


def _fault_of_atoms(atoms: Atoms, probe: Probe) -> str:
    m = len(atoms.points)
    fault = _fault_of_tensor("the atoms' points", atoms.points, (m, probe.dim), "(m, d)")
    if fault:
        return fault
    fault = _fault_of_tensor("the atoms' log_weights", atoms.log_weights, (m,), "(m,)", False)
    if fault:
        return fault
    total = float(atoms.log_weights.double().exp().sum())
    if abs(total - 1.0) > 1e-6:
        return (
            f"the atoms' weights exp(log_weights) sum to {total:.6g}, not to one; this usually "
            "means that weights were given instead of their logs, or logits before a log_softmax"
        )
    return ""


def _fault_of_pushforward(marginal: Pushforward, probe: Probe) -> str:
    z = marginal.sample_latent(_DRAWS, stream("form", "z"))
    fault = _fault_of_tensor("sample_latent", z, (_DRAWS, marginal.latent_dim), "(n, l)")
    if fault:
        return fault
    z = z.detach().double()
    images = marginal.decode(z)
    fault = _fault_of_tensor("decode(z)", images, (_DRAWS, probe.dim), "(n, d)")
    if fault:
        return fault
    alone = torch.cat([marginal.decode(row[None]) for row in z])
    if not torch.allclose(alone, images, rtol=1e-4, atol=1e-4 * float(images.detach().abs().max())):
        return (
            "decode maps a point differently when it comes in a batch; this usually means batch "
            "normalisation or dropout left in training mode"
        )
    fault = _fault_of_tensor("the prior's log density", marginal.log_prior(z), (_DRAWS,), "(n,)")
    return fault or _fault_of_encoder(marginal.encoder, marginal.latent_dim, probe)


def _fault_of_encoder(encoder: Encoder | None, latent_dim: int, probe: Probe) -> str:
    if encoder is None:
        return ""
    x = probe.problem.source.sample(_SYMBOLS, stream("form", "x")).double()
    z = encoder.sample(x, _EACH, stream("form", "z|x"))
    fault = _fault_of_tensor(
        "encoder.sample(x, k, generator)", z, (_SYMBOLS, _EACH, latent_dim), "(n, k, l)"
    )
    if fault:
        return fault
    value = encoder.log_prob(z.detach().double(), x)
    return _fault_of_tensor("encoder.log_prob(z, x)", value, (_SYMBOLS, _EACH), "(n, k)")


def _fault_of_tensor(
    what: str, value: Any, shape: tuple[int, ...], letters: str, finite: bool = True
) -> str:
    """Not a float64 tensor of this shape with finite entries (or none that is NaN)."""
    if not isinstance(value, Tensor):
        return f"{what} is a {type(value).__name__}, not a tensor"
    if tuple(value.shape) != shape:
        return f"{what} has shape {tuple(value.shape)} where {letters} = {shape} is meant"
    if value.dtype != torch.float64:
        return (
            f"{what} is {str(value.dtype).removeprefix('torch.')}, not float64: at a mean of 100 "
            "float32 loses what the audit measures; end with .double(), in source coordinates"
        )
    bad = ~torch.isfinite(value) if finite else torch.isnan(value)
    if bool(bad.any()):
        return f"{what} has entries that are not finite" if finite else f"{what} has NaN entries"
    return ""
