"""Evaluation of an energy in any dimension by annealed importance sampling, with a gate.

F(q) = log Z - E log Z_x with Z the integral of exp(-E) and Z_x that of exp(-E - beta rho(x, .)).
A Gaussian mixture g fitted to draws of q is annealed into q along (1 - t) E_g + t E + beta rho;
under squared error both ends at t = 0 are drawn exactly and have their constants in closed form.
Forward chains give log Z and log Z_x low in expectation, reverse chains high (Neal 2001; Grosse,
Ghahramani, Adams 2015; the multi-sample bounds of Burda, Grosse, Salakhutdinov 2015).

Reverse chains bound only if they start from exact draws of q. Markov chains can miss a mode that
the conditional chains visit, and then both directions agree on a wrong log Z. Hence half of the
reverse chains start from draws of p(y|x) for fresh x; where the halves disagree the gate fails,
and even where they agree the side is ``estimate``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation, effective_fraction, log_mean_exp
from rdbench.audit.size import AuditSize
from rdbench.inference.em import select_mixture
from rdbench.inference.langevin import Potential, adapted, mala
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Energy, TestChannel

# The gate: widths in nats, the effective sample size as a fraction.
MAX_CONDITIONAL_WIDTH = 0.02
MAX_PARTITION_WIDTH = 0.03
MIN_EFFECTIVE = 0.3
SCHEDULES = (1, 20, 60, 200, 800)
MAX_COMPONENTS = 8

_BURN_IN = 60
# One evaluation of g costs d^2: beyond this dimension chains and symbols are cut in proportion,
# and intervals widen.
_FULL_DIM = 50
_MIN_CHAINS = 500
_MIN_SYMBOLS = 100
_INFLATION = 1.05  # forward proposals a little wider than the fit
_NARROWING = 0.9  # reverse chains need a proposal narrower than the target


@dataclass(frozen=True)
class Partition:
    """log Z with its bracket: forward low, reverse high, the halves of the reverse apart.

    The forward value is the estimate: where the gate accepts, its bias, half the variance of the
    weights over their number, is below 3e-3, while the reverse inherits the error of the chains.
    """

    forward: float
    reverse: float
    from_marginal: float
    from_conditional: float
    se: float
    ess: float

    @property
    def bracket(self) -> tuple[float, float]:
        """What log Z may be: where the gate fails, the halves of the reverse count one by one."""
        values = [self.forward, self.reverse]
        if not self.accepted:
            values += [self.from_marginal, self.from_conditional]
        return min(values), max(values)

    @property
    def accepted(self) -> bool:
        """The gate on log Z."""
        return (
            abs(self.reverse - self.forward) <= MAX_PARTITION_WIDTH
            and abs(self.from_marginal - self.from_conditional) <= MAX_PARTITION_WIDTH
            and self.ess >= MIN_EFFECTIVE
        )


def annealed(
    channel: TestChannel,
    energy: Energy,
    x: Float[Tensor, "n d"],
    size: AuditSize,
    generator: Generator,
) -> Evaluation:
    """Escalate the schedule until the gate accepts.

    Held-out likelihood chooses the number of components of g: with one component for several
    modes even 200 steps leave brackets of .03, with the right number one step does.
    """
    beta, dim = channel.beta, x.shape[1]
    scale = min(1.0, (_FULL_DIM / dim) ** 2)
    chains = max(_MIN_CHAINS, round(scale * size.chains))
    x = x[: max(_MIN_SYMBOLS, round(scale * len(x)))]
    draws = energy.sample(max(chains // 2, 4 * dim), generator).double()
    fresh = x[torch.randint(len(x), (chains // 4,), generator=generator, device=x.device)]
    visited = channel.sample_conditional(fresh, 1, generator)[:, 0].double()
    posterior = channel.sample_conditional(x, 1, generator).double()
    fitting, starting = draws[: len(draws) // 2], draws[len(draws) // 2 :]
    schedules = [steps for steps in SCHEDULES if steps <= size.max_steps]
    g = select_mixture(fitting, MAX_COMPONENTS, generator, margin=0.01)
    for steps in schedules:
        partition = _partition(energy, g, steps, chains, starting, visited, generator)
        # The conditional chains are the costly part; without log Z they are of no use.
        if partition.accepted or steps == schedules[-1]:
            result = _evaluate(energy, g, beta, x, posterior, partition, steps, size, generator)
            if result.accepted:
                break
    return result


def _partition(
    energy: Energy,
    g: GaussianMixture,
    steps: int,
    chains: int,
    starting: Tensor,
    visited: Tensor,
    generator: Generator,
) -> Partition:
    wide, narrow = _scaled(g, _INFLATION), _scaled(g, _NARROWING)
    count = max(chains // max(1, steps // 20), min(chains, 1000))
    forward, _ = _anneal(energy, wide, None, wide.sample(count, generator), steps, generator)
    halves = []
    for starts in (starting, visited):
        starts = starts[: max(count // 4, 500)]
        factor = _factor(narrow, 0.0)
        # Draws of p(y|x) follow q only at the optimum; a burn-in settles them inside their modes.
        for scale in (1e-3, 1e-2, 1e-1):
            tau = torch.full((), scale, dtype=torch.float64, device=starts.device)
            starts, _ = mala(energy.value_and_grad, starts, _BURN_IN // 3, tau, factor, generator)
        log_w, _ = _anneal(energy, narrow, None, starts, steps, generator, reverse=True)
        halves.append(log_w)
    reverse = torch.cat(halves)
    weights = torch.softmax(forward, 0) * len(forward)
    return Partition(
        forward=float(log_mean_exp(forward, 0)),
        reverse=-float(log_mean_exp(-reverse, 0)),
        from_marginal=-float(log_mean_exp(-halves[0], 0)),
        from_conditional=-float(log_mean_exp(-halves[1], 0)),
        se=float(weights.std()) / math.sqrt(len(weights)),
        ess=float(effective_fraction(forward, 0)),
    )


def _evaluate(
    energy: Energy,
    g: GaussianMixture,
    beta: float,
    x: Tensor,
    posterior: Tensor,
    partition: Partition,
    steps: int,
    size: AuditSize,
    generator: Generator,
) -> Evaluation:
    n, d = x.shape
    m = size.conditional_chains
    wide = _scaled(g, _INFLATION)
    starts = wide.sample_conditional(x, m, beta, generator).reshape(n * m, d)
    repeated = x.repeat_interleave(m, 0)
    forward, ends = _anneal(energy, wide, (repeated, beta), starts, steps, generator)
    forward = forward.reshape(n, m)
    back, _ = _anneal(energy, wide, (x, beta), posterior[:, 0], steps, generator, reverse=True)
    base = wide.log_partition(x, beta)
    low = base + log_mean_exp(forward, 1)
    high = base + log_mean_exp(torch.cat([forward[:, 1:], back[:, None]], 1), 1)
    width = float((high - low).mean())
    rho = (ends - repeated).square().sum(1).reshape(n, m)
    z = partition
    return Evaluation(
        potential=z.forward - 0.5 * (low + high),
        distortion=(torch.softmax(forward, 1) * rho).sum(1),
        method=f"annealed importance sampling, {steps} steps, {g.size} components",
        side="estimate",
        common_se=z.se,
        below=z.forward - z.bracket[0] + 0.5 * abs(width),
        above=z.bracket[1] - z.forward + 0.5 * abs(width),
        ess=z.ess,
        accepted=z.accepted and abs(width) <= MAX_CONDITIONAL_WIDTH,
    )


def _anneal(
    energy: Energy,
    g: GaussianMixture,
    condition: tuple[Tensor, float] | None,
    y: Tensor,
    steps: int,
    generator: Generator,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Log weights (in the forward sense) and the last states of chains between g and q.

    One step is plain importance sampling: no transition is needed.
    """
    beta = 0.0 if condition is None else condition[1]
    factor = _factor(g, beta)
    tau = torch.full((), 0.3, dtype=torch.float64, device=y.device)
    log_w = torch.zeros(len(y), dtype=torch.float64, device=y.device)
    grid = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64).tolist()

    def update(k: int) -> None:
        nonlocal log_w
        difference = energy.value_and_grad(y)[0] - g.energy_and_grad(y)[0]
        log_w = log_w - (grid[k] - grid[k - 1]) * difference

    for k in range(steps, 0, -1) if reverse else range(1, steps + 1):
        if not reverse:
            update(k)
        if steps > 1:
            potential = _bridge_potential(energy, g, condition, grid[k])
            y, acceptance = mala(potential, y, 1, tau, factor, generator)
            tau = adapted(tau, acceptance)
        if reverse:
            update(k)
    return log_w, y


def _bridge_potential(
    energy: Energy, g: GaussianMixture, condition: tuple[Tensor, float] | None, t: float
) -> Potential:
    def potential(y: Tensor) -> tuple[Tensor, Tensor]:
        e, de = energy.value_and_grad(y)
        r, dr = g.energy_and_grad(y)
        value, grad = torch.lerp(r, e, t), torch.lerp(dr, de, t)
        if condition is not None:
            x, beta = condition
            value = value + beta * (y - x).square().sum(1)
            grad = grad + 2.0 * beta * (y - x)
        return value, grad

    return potential


def _factor(g: GaussianMixture, beta: float) -> Tensor:
    """A square root of the pooled covariance within components, given x where beta > 0."""
    pooled = (g.weights[:, None, None] * g.covs).sum(0)
    values, vectors = torch.linalg.eigh(pooled)
    values = values.clamp(min=1e-300)
    root: Tensor = vectors * (values / (1.0 + 2.0 * beta * values)).sqrt()
    return root


def _scaled(g: GaussianMixture, scale: float) -> GaussianMixture:
    return GaussianMixture(g.weights, g.means, g.covs * scale)
