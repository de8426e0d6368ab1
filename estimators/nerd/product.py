"""The preset ``product``: a generator for every independent coordinate, a product of plug-ins.

In an orthogonal basis found by independent component analysis q is the law of

    Y = centre + sum_k v_k s_k g_k(z_k),   g_k(z) = a_k z + net_k(z),   z_k ~ N(0, 1),

with s_k the spread along v_k and net_k a small network that starts at zero. Squared error is a sum
over coordinates, so that Z(x) is a product, and N draws of every z_k stand for N^d of Y:

    F(q) = -E sum_k log 1/N sum_j exp(-beta (X_k - s_k g_k(z_j))^2).

No rate below d log N saturates. The z_j are an even grid of quantiles, shifted at random at every
step; in the end their midpoints: a product of atoms, whose F is an exact sum.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import Parameter

from rdbench.estimators.nerd.settings import Settings
from rdbench.fitting import NO_CLAIM, RunningMean, Task, iterate, stopped
from rdbench.inference.product import Coordinates, conditional, exact_point, independent
from rdbench.types import Claim, Product, Start, TestChannel


class Axes(torch.nn.Module):
    """The g_k, evaluated as one batch."""

    def __init__(self, dim: int, hidden: int, generator: Generator) -> None:
        super().__init__()

        def normal(*shape: int, std: float) -> Parameter:
            dev = generator.device
            w = torch.randn(shape, generator=generator, device=dev, dtype=torch.float64)
            return Parameter(std * w)

        self.slope = Parameter(normal(dim, 1, std=0.0) + 1.0)
        self.w1, self.b1 = normal(dim, 1, hidden, std=1.5), normal(dim, 1, hidden, std=1.0)
        self.w2 = normal(dim, hidden, hidden, std=1.0 / math.sqrt(hidden))
        self.b2 = normal(dim, 1, hidden, std=0.1)
        self.w3 = normal(dim, hidden, 1, std=0.0)

    def forward(self, z: Float[Tensor, "d n"]) -> Float[Tensor, "d n"]:
        """g_k(z_k) for n latents of every axis."""
        h = torch.nn.functional.silu(z[..., None] * self.w1 + self.b1)
        h = torch.nn.functional.silu(torch.baddbmm(self.b2, h, self.w2))
        out: Tensor = self.slope * z + (h @ self.w3)[..., 0]
        return out


def fit_product(config: Settings, task: Task) -> Iterator[TestChannel]:
    """The channels of a ladder.

    Args:
        config: lengths and rates; ``draws`` is N.
        task: the problem in standard coordinates, its slopes in falling order.
    """
    where = independent(task.warm, task.generator)
    spread = where.forward(task.warm).std(0).clamp(min=1e-300)[:, None]
    net = Axes(task.dim, config.hidden, task.generator)
    start = _law(copy.deepcopy(net), where, spread, config.draws)
    claimed_on = task.draws.claim(config.claim_draws)
    count, running, fitted = len(task.betas), True, 0
    for rung, beta in enumerate(task.betas):
        effort = task.monitor.effort
        steps = max(1, round((config.iterations if rung else config.first_iterations) * effort))
        adam = torch.optim.Adam(net.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        average = RunningMean(net, config.averaging)

        def step(
            i: int,
            beta: float = beta,
            steps: int = steps,
            adam: torch.optim.Optimizer = adam,
            average: RunningMean[Axes] = average,
        ) -> bool:
            for group in adam.param_groups:
                group["lr"] = config.learning_rate * config.decay ** (i / steps)
            u = where.forward(task.draws.sample(config.batch)) / spread.T
            shift = torch.rand(
                task.dim, 1, generator=task.generator, device=u.device, dtype=torch.float64
            )
            y = net(_quantiles(config.draws, shift))
            adam.zero_grad()
            y.backward(gradient(y.detach(), u, beta * spread.square()))
            adam.step()
            average.update()
            return True

        def offer(beta: float = beta, average: RunningMean[Axes] = average) -> list[TestChannel]:
            return [_channel(_law(average.mean, where, spread, config.draws), beta, NO_CLAIM)]

        if running:
            running = iterate(task.monitor, steps, step, offer, part=(rung, count))
            net.load_state_dict(average.mean.state_dict())
            fitted += 1
        q = _law(net, where, spread, config.draws) if fitted else start
        rate, distortion = exact_point(q, claimed_on, beta)
        task.monitor.count(parameters=(rung + 1) * sum(p.numel() for p in net.parameters()))
        answer = _channel(q, beta, Claim(rate, distortion, task.draws.side), start)
        yield answer if running else stopped(answer)


def gradient(
    y: Float[Tensor, "d m"], u: Float[Tensor, "n d"], betas: Float[Tensor, "d 1"]
) -> Float[Tensor, "d m"]:
    """That of -mean_i sum_k log mean_j exp(-beta_k (u_ik - y_kj)^2) in y.

    Args:
        y: m points on every axis.
        u: symbols.
        betas: the slope on every axis.
    """
    off = y[:, None] - u.T[..., None]
    p = torch.softmax(-betas[..., None] * off.square(), 2)
    found: Tensor = 2.0 * betas / len(u) * (p * off).sum(1)
    return found


def _quantiles(n: int, shift: Float[Tensor, "d 1"]) -> Float[Tensor, "d n"]:
    """Normal quantiles of (j + shift) / n."""
    j = torch.arange(n, dtype=torch.float64, device=shift.device)
    found: Tensor = torch.special.ndtri(((j + shift) / n).clamp(1e-12, 1.0 - 1e-12))
    return found


@torch.no_grad()
def _law(net: Axes, where: Coordinates, spread: Float[Tensor, "d 1"], n: int) -> Product:
    points = spread * net(_quantiles(n, torch.full_like(spread, 0.5)))
    return where.product(points, torch.full_like(points, -math.log(n)))


def _channel(q: Product, beta: float, claim: Claim, start: Product | None = None) -> TestChannel:
    begun = None if start is None else Start(start, "N(0, s^2) on every axis")
    return TestChannel(
        beta, q, claim, conditional(q, beta), q_is="product of generators", start=begun
    )
