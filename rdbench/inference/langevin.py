"""Metropolis-adjusted Langevin steps with a preconditioner, batched.

From y with potential U, gradient g and preconditioner C C^T, propose

    y' = y - tau C C^T g + sqrt(2 tau) C z,   z ~ N(0, I),

and accept with the Metropolis probability, so that exp(-U) is left invariant whatever the step.
(Roberts and Tweedie 1996; Roberts and Stramer 2002.)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

Potential = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps y (..., d) to U (...,) and its gradient (..., d)."""

TARGET_ACCEPTANCE = 0.6


@torch.no_grad()
def mala(
    potential: Potential,
    y: Float[Tensor, "*b n d"],
    steps: int,
    step_size: Float[Tensor, "*b"],
    factor: Float[Tensor, "*b d d"],
    generator: Generator,
    spread: float = 0.0,
) -> tuple[Float[Tensor, "*b n d"], Float[Tensor, "*b"]]:
    """Run ``steps`` transitions; return the states and the mean acceptance of each batch.

    Args:
        potential: U and its gradient.
        y: the states; leading axes are batches with a step size and a preconditioner each.
        steps: how many transitions.
        step_size: tau.
        factor: C, a square root of the preconditioner.
        generator: the source of randomness.
        spread: every move of every state multiplies tau by e^u, u uniform on [-spread, spread]:
            one size is too long in a narrow core or too short in wide shells around it.
    """
    fixed = step_size[..., None]
    value, gradient = potential(y)
    drift = gradient @ factor
    accepted = torch.zeros_like(step_size)
    for _ in range(steps):
        tau = fixed
        if spread:
            u = torch.rand(y.shape[:-1], generator=generator, device=y.device, dtype=y.dtype)
            tau = fixed * torch.exp(spread * (2.0 * u - 1.0))
        proposal, new_value, new_drift, accept = transition(
            potential, y, value, drift, tau, factor, generator
        )
        wide = accept[..., None]
        y = torch.where(wide, proposal, y)
        drift = torch.where(wide, new_drift, drift)
        value = torch.where(accept, new_value, value)
        accepted += accept.to(y.dtype).mean(-1)
    return y, accepted / max(steps, 1)


def transition(
    potential: Potential,
    y: Float[Tensor, "*b n d"],
    value: Float[Tensor, "*b n"],
    drift: Float[Tensor, "*b n d"],
    tau: Float[Tensor, "*b #n"],
    factor: Float[Tensor, "*b d d"],
    generator: Generator,
) -> tuple[
    Float[Tensor, "*b n d"], Float[Tensor, "*b n"], Float[Tensor, "*b n d"], Bool[Tensor, "*b n"]
]:
    """One proposal, U and C^T g there, and whether it is accepted.

    Args:
        potential: U and its gradient.
        y: the states.
        value: U at them.
        drift: C^T g at them, g the gradient of U.
        tau: the step size of every state, or one for a batch.
        factor: C.
        generator: the source of randomness.
    """
    tau_wide = tau[..., None]
    z = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)
    move = (2.0 * tau_wide).sqrt() * z - tau_wide * drift
    proposal = y + move @ factor.transpose(-1, -2)
    new_value, new_gradient = potential(proposal)
    new_drift = new_gradient @ factor
    back = tau_wide * new_drift - move
    log_ratio = value - new_value - back.square().sum(-1) / (4.0 * tau)
    log_ratio += 0.5 * z.square().sum(-1)
    u = torch.rand(log_ratio.shape, generator=generator, device=y.device, dtype=y.dtype)
    return proposal, new_value, new_drift, u.log() < log_ratio


def adapted(
    step_size: Float[Tensor, "*b"], acceptance: Float[Tensor, "*b"], gain: float = 0.2
) -> Float[Tensor, "*b"]:
    """Move log tau towards the acceptance that suits MALA (0.57; Roberts and Rosenthal 1998)."""
    return (step_size * torch.exp(gain * (acceptance - TARGET_ACCEPTANCE))).clamp(1e-5, 3.0)
