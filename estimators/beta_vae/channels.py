"""Channels of trained models, their claims, and the choice between models on held-out draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.beta_vae.encoder import ComponentEncoder
from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.estimators.beta_vae.published import PublishedVAE
from rdbench.fitting import NO_CLAIM, Task
from rdbench.inference.components import FEWEST_HELD_OUT
from rdbench.types import Encoder, Pushforward, TestChannel

Trained = MixtureVAE | PublishedVAE

_LATE_SYMBOLS = 300  # after a stop, for the choice and for the claim
BLOCK = 2_000_000  # numbers of one tensor held at once


def network_channel(model: Trained, task: Task, q_is: str) -> TestChannel:
    """The channel of a frozen model of one slope: q by its decoder, p(y|x) by its encoder."""
    if isinstance(model, MixtureVAE):
        components = ComponentEncoder(model, task.distortion)
        encoder = Encoder(components.sample, lambda z, x: components.log_prob(z.double(), x))
    else:
        encoder = Encoder(model.encode, model.encoded)

    def decode(z: Tensor) -> Tensor:
        z = z.double()
        return z + model.correction(z[None])[0]

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        return decode(encoder.sample(x, k, g).flatten(0, 1)).reshape(len(x), k, -1)

    marginal = Pushforward(decode, task.dim, model.density(), encoder)
    beta = float(model.slopes)
    return TestChannel(
        beta, marginal, NO_CLAIM, sample_conditional, conditional_kind="encoder", q_is=q_is
    )


def affine_channel(model: MixtureVAE, task: Task) -> TestChannel:
    """The channel of a model of one slope whose networks are zero: q is its mixture itself."""
    mixture, beta = model.mixture(), float(model.slopes)
    q_is = "Gaussian" if mixture.size == 1 else f"{mixture.size} Gaussians"
    if task.distortion.name != "squared_error":  # the encoder is not p(y|x)
        return network_channel(model, task, q_is)

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        return mixture.sample_conditional(x, k, beta, g)

    return TestChannel(beta, mixture.as_marginal(), NO_CLAIM, sample_conditional, q_is=q_is)


@torch.no_grad()
def bounds(
    model: Trained, task: Task, x: Float[Tensor, "n d"], components: int | None = None
) -> tuple[Float[Tensor, "B m"], Float[Tensor, "B m"]]:
    """R + beta D and D of every symbol, or of the first ones after a stop.

    Args:
        model: of B slopes.
        task: distortion, generator and monitor.
        x: the symbols.
        components: as many of them are reckoned with, for memory; None: as many as there are.
    """
    if not task.monitor.advance(1.0):
        x = x[:_LATE_SYMBOLS]
    totals, distortions = [], []
    if components is None:
        components = model.shift.shape[1] if isinstance(model, MixtureVAE) else 1
    rows = max(1, BLOCK // (len(model.slopes) * components * x.shape[1]))
    for part in x.split(rows):
        rate, distortion = model.bound(part, task.distortion, task.generator)
        totals.append(rate + model.slopes[:, None] * distortion)
        distortions.append(distortion)
        if not task.monitor.advance(1.0):
            break
    return torch.cat(totals, 1), torch.cat(distortions, 1)


def best(
    candidates: Sequence[Float[Tensor, " n"]], margin: float = 0.0, errors: float = 1.0
) -> int:
    """The first, or a later one that is lower by more than the error of the paired difference.

    Where draws are too few to tell, the first. A stop may leave later ones fewer symbols.

    Args:
        candidates: bounds at the same symbols.
        margin: nats that a later one has to gain besides.
        errors: standard errors that the gain has to exceed.
    """
    found = 0
    for j in range(1, len(candidates)):
        n = min(len(candidates[found]), len(candidates[j]))
        difference = candidates[j][:n] - candidates[found][:n]
        if n < FEWEST_HELD_OUT:
            continue
        error = float(difference.std()) / math.sqrt(n)
        if float(difference.mean()) < -margin - errors * error:
            found = j
    return found
