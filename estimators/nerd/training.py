"""Training of one generator at one slope: the dual's gradient in y = g(z), then in the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.nerd.generator import ResidualGenerator
from rdbench.estimators.nerd.posterior import latent_posterior
from rdbench.estimators.nerd.settings import Settings
from rdbench.fitting import RunningMean, Task, cosine, iterate
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Distortion, TestChannel

Objective = Literal["plug_in", "importance"]

_NEWTON_STEPS = 3
_PRIOR_SHARE = 2  # one draw of the prior for so many pairs of the proposal: it bounds the weights
_BLOCK = 4_000_000


def train(
    net: ResidualGenerator,
    prior: GaussianMixture,
    task: Task,
    beta: float,
    objective: Objective,
    config: Settings,
    index: int,
    offer: Callable[[ResidualGenerator], list[TestChannel]],
    worthwhile: Callable[[ResidualGenerator], bool],
) -> bool:
    """Descend the dual from where ``net`` stands and leave the running mean of the weights in it.

    Args:
        net: the generator.
        prior: the law of its latents.
        task: the problem in standard coordinates.
        beta: the slope.
        objective: how the inner expectation is taken.
        config: lengths and rates.
        index: which slope of the task this is.
        offer: makes checkpoints of the running mean.
        worthwhile: asked once, after a quarter of the steps, about the running mean; False ends
            the training at this slope.

    Returns:
        Whether training may go on, at other slopes too: nothing has asked it to stop.
    """
    steps = config.steps(task.monitor.effort)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / steps))
    average = RunningMean(net, config.averaging)
    lattice = _lattice(config.draws, prior.dim + 1, task.generator)

    def step(i: int) -> bool:
        if i == steps // 4 + 1 and not worthwhile(average.mean):
            return False
        x = task.draws.sample(config.batch)
        if objective == "plug_in":
            z = _latents(prior, lattice, task.generator)
            y, gradient = plug_in(net, x, z, beta, task.distortion)
        else:
            y, gradient = _importance(net, prior, x, beta, config.pairs, task.generator)
        optimiser.zero_grad()
        y.backward(gradient)
        optimiser.step()
        decay.step()
        average.update()
        return True

    slopes = len(task.betas)
    running = iterate(task.monitor, steps, step, lambda: offer(average.mean), part=(index, slopes))
    net.load_state_dict(average.mean.state_dict())
    return running


def _lattice(n: int, dim: int, generator: Generator) -> Float[Tensor, "n l"]:
    """Evenly spread points of the unit cube (Sobol 1967), n rounded up to a power of two."""
    n = 2 ** math.ceil(math.log2(n))
    points = torch.quasirandom.SobolEngine(dim).draw(n, dtype=torch.float64)
    return points.to(generator.device)


def _latents(
    prior: GaussianMixture, lattice: Float[Tensor, "n l"], generator: Generator
) -> Float[Tensor, "n d"]:
    """Latents each of which has the law of the prior, and which together cover it evenly.

    The lattice takes a common random shift modulo one (Cranley and Patterson 1976); its last
    coordinate picks the component.
    """
    dim = prior.dim
    shift = torch.rand(dim + 1, generator=generator, device=lattice.device, dtype=torch.float64)
    u = (lattice + shift) % 1.0
    e = torch.special.ndtri(u[:, :dim].clamp(1e-12, 1.0 - 1e-12))
    edges = prior.weights.cumsum(0)[:-1].contiguous()
    k = torch.bucketize(u[:, dim].contiguous(), edges)
    factors = torch.linalg.cholesky(prior.covs)
    out = torch.empty_like(e)
    for j in range(prior.size):
        rows = k == j
        out[rows] = prior.means[j] + e[rows] @ factors[j].T
    return out


def plug_in(
    net: torch.nn.Module,
    x: Float[Tensor, "n d"],
    z: Float[Tensor, "m l"],
    beta: float,
    distortion: Distortion,
) -> tuple[Tensor, Tensor]:
    """-mean_i log mean_j exp(-beta rho(x_i, g(z_j))): the g(z_j), and its gradient in them.

    Args:
        net: g.
        x: symbols, (n, d).
        z: latents that all symbols share, (m, l).
        beta: the slope in nats per unit of distortion.
        distortion: rho.
    """
    y: Tensor = net(z)
    with torch.no_grad():
        p = torch.softmax(distortion.pairwise(x, y).mul_(-beta), 1)
        return y, beta / len(x) * pulled(distortion, x, y, p)


def pulled(
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "m d"],
    p: Float[Tensor, "n m"],
) -> Float[Tensor, "m d"]:
    """sum_i p_ij d rho(x_i, y_j) / d y_j.

    Args:
        distortion: rho.
        x: symbols, (n, d).
        y: reproductions, (m, d).
        p: weights of the pairs, (n, m).
    """
    if distortion.name == "squared_error":
        return 2.0 * (p.sum(0)[:, None] * y - p.T @ x)
    out = torch.empty_like(y)
    step = max(1, _BLOCK // x.numel())
    for start in range(0, len(y), step):
        part = y[start : start + step]
        wide = (len(x), *part.shape)
        slopes = distortion.value_and_grad(x[:, None].expand(wide), part.expand(wide))[1]
        out[start : start + step] = torch.einsum("nm,nmd->md", p[:, start : start + step], slopes)
    return out


def _importance(
    net: ResidualGenerator,
    prior: GaussianMixture,
    x: Float[Tensor, "n d"],
    beta: float,
    pairs: int,
    generator: Generator,
) -> tuple[Tensor, Tensor]:
    """-mean_i log Z^(x_i), squared error: the images of the latents, and its gradient in them.

    Proposals are not differentiated: at fixed latents the gradient of log Z^ is a weighted mean
    of that of -beta rho.
    """
    n, dim = x.shape
    from_prior = max(1, pairs // _PRIOR_SHARE)
    posterior = latent_posterior(net, prior, x, beta, _NEWTON_STEPS)
    z = torch.cat(
        [
            posterior.sample(2 * pairs, generator, mirrored=True),
            prior.sample(n * from_prior, generator).reshape(n, from_prior, dim),
        ],
        1,
    )
    flat = z.reshape(-1, dim)
    log_p = prior.log_prob(flat).reshape(n, -1)
    log_e = posterior.log_prob(z)
    log_w = log_p - torch.logaddexp(math.log(2 * pairs) + log_e, math.log(from_prior) + log_p)
    y = net(flat)
    with torch.no_grad():
        residual = y - x.repeat_interleave(z.shape[1], 0)
        log_w = log_w - beta * residual.square().sum(1).reshape(n, -1)
        p = torch.softmax(log_w, 1).reshape(-1, 1) / n
    return y, 2.0 * beta * p * residual
