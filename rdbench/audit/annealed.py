"""Annealed importance sampling for an energy in any dimension, with an acceptance test.

F(q) = log Z - E log Z_x with Z the integral of exp(-E) and Z_x that of exp(-E - beta rho(x, .)).
A Gaussian mixture g fitted to draws of q is annealed into q along (1 - t) E_g + t E + beta rho;
under squared error both ends at t = 0 are drawn exactly and have their constants in closed form.
Forward chains give log Z and log Z_x low in expectation, reverse chains high (Neal 2001; Grosse,
Ghahramani, Adams 2015; the multi-sample bounds of Burda, Grosse, Salakhutdinov 2015).

Reverse chains bound only if they start from exact draws of q. Markov chains can miss a mode that
the conditional chains visit, and then both directions agree on a wrong log Z. Hence half of the
reverse chains start from draws of p(y|x) for fresh x; where the halves disagree the test fails,
and even where they agree the side is ``estimate``.

The test chooses both schedules on a pilot, whose chains and starts are not used again; the estimate
is then made once, with fresh chains. Only where these contradict the pilot is the point withheld
after all, so that what is reported is not picked for its value.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.averages import weighted_mean
from rdbench.audit.chains import INFLATION, Partition, anneal, partition, scaled, settled
from rdbench.audit.evaluation import Evaluation, log_mean_exp
from rdbench.audit.size import AuditSize
from rdbench.inference.em import refined, select_mixture
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Energy, TestChannel

# The acceptance test: widths in nats, the effective sample size as a fraction.
MAX_CONDITIONAL_WIDTH = 0.02
MAX_PARTITION_WIDTH = 0.03
MIN_EFFECTIVE = 0.3
# A schedule is long enough where it meets these; only the longest may pass by the limits above.
_AIMED_WIDTH = 0.02
_AIMED_EFFECTIVE = 0.6
# The standard error of log Z that the final chains are numbered for, up to twice the usual number.
_AIMED_ERROR = 0.005
_CONTRADICTION = 1.5  # times the test's widths, after a pilot that passed them
SCHEDULES = (1, 20, 60, 120, 200, 800)
MAX_COMPONENTS = 8

_SELECT_DRAWS = 1000  # choose the number of components of g; all that are left refine it
# One evaluation of g costs d^2: beyond this dimension chains and symbols are cut in proportion,
# and intervals widen.
_FULL_DIM = 50
_MIN_CHAINS = 500
_MIN_SYMBOLS = 100


def annealed(
    channel: TestChannel,
    energy: Energy,
    x: Float[Tensor, "n d"],
    size: AuditSize,
    generator: Generator,
    weights: Float[Tensor, " n"] | None = None,
) -> Evaluation:
    """Lengthen the schedules on a pilot until it is accepted, then estimate with fresh chains.

    log Z and log Z_x have a schedule each: at high rates one step is enough for the second.
    Held-out likelihood chooses the number of components of g: with one component for several
    modes even 200 steps leave brackets of .03, with the right number one step does. Where no
    schedule passes, the bracket of the pilot is all that is returned.

    Args:
        channel: its conditional starts half of the reverse chains.
        energy: E, whose q is evaluated.
        x: the symbols (n, d).
        size: how much work may be done.
        generator: of all draws.
        weights: of the symbols, where they were drawn in strata.
    """
    dim = x.shape[1]
    scale = min(1.0, (_FULL_DIM / dim) ** 2)
    chains = max(_MIN_CHAINS, round(scale * size.chains))
    x = x[: max(_MIN_SYMBOLS, round(scale * len(x)))]
    few = x[: size.pilot_symbols]
    draws = energy.sample(max(chains // 2, 4 * dim), generator).double()
    fitting, starting = draws[: len(draws) // 2], draws[len(draws) // 2 :]
    g = select_mixture(fitting[:_SELECT_DRAWS], MAX_COMPONENTS, generator, margin=0.01)
    g = refined(g, fitting)
    schedules = [steps for steps in SCHEDULES if steps <= size.max_steps]
    third = len(starting) // 3

    def reverse_starts(marginal: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """For either half of the reverse chains, settled: draws of q, draws of p(y|x)."""
        chance = torch.ones_like(x[:, 0]) if weights is None else weights[: len(x)]
        rows = torch.multinomial(chance, count, replacement=True, generator=generator)
        visited = channel.sample_conditional(x[rows], 1, generator)[:, 0].double()
        own, other = (settled(energy, g, y[:count], generator) for y in (marginal, visited))
        return own, other

    def log_z_x(steps: int, x: Tensor, z: Partition, width: float) -> Evaluation:
        return _evaluate(channel, energy, g, x, weights, z, steps, size, generator, width)

    begun = reverse_starts(starting[:third], max(chains // 8, 500))
    for steps in schedules:
        pilot_z = partition(energy, g, steps, chains // 2, begun, generator)
        if pilot_z.passes(_AIMED_WIDTH, _AIMED_EFFECTIVE):
            break
    passed = pilot_z.passes(MAX_PARTITION_WIDTH, MIN_EFFECTIVE)
    # Without log Z the conditional chains, the costly part, are of no use: the shortest will do.
    for steps_x in schedules if passed else schedules[:1]:
        pilot = log_z_x(steps_x, few, pilot_z, MAX_CONDITIONAL_WIDTH if passed else 0.0)
        if pilot.accepted:
            break
    if not pilot.accepted:
        return pilot
    # n weights of effective fraction e have a mean with the relative variance (1/e - 1) / n.
    needed = (1.0 / pilot_z.ess - 1.0) / _AIMED_ERROR**2
    most = 2.0 * chains / max(1.0, steps / 20)
    least = round(min(needed, most))
    begun = reverse_starts(starting[third:], max(chains // 4, 500))
    z = partition(energy, g, steps, chains, begun, generator, least)
    agrees = z.passes(_CONTRADICTION * MAX_PARTITION_WIDTH, MIN_EFFECTIVE / _CONTRADICTION)
    # Long schedules are costly, and log Z, not the symbols, sets the error that is left.
    x = x if steps_x == 1 else x[: (len(x) + 1) // 2]
    return log_z_x(steps_x, x, z, _CONTRADICTION * MAX_CONDITIONAL_WIDTH if agrees else 0.0)


def _evaluate(
    channel: TestChannel,
    energy: Energy,
    g: GaussianMixture,
    x: Tensor,
    weights: Tensor | None,
    z: Partition,
    steps: int,
    size: AuditSize,
    generator: Generator,
    widest: float,
) -> Evaluation:
    """f(x) = log Z - log Z_x, accepted where the bound on log Z_x is at most ``widest`` wide.

    Zero accepts nothing: log Z is in doubt, and everything it may be widens the bracket.
    """
    n, d = x.shape
    m, beta = size.conditional_chains, channel.beta
    wide = scaled(g, INFLATION)
    posterior = channel.sample_conditional(x, 1, generator)[:, 0].double()
    starts = wide.sample_conditional(x, m, beta, generator).reshape(n * m, d)
    repeated = x.repeat_interleave(m, 0)
    forward, ends = anneal(energy, wide, (repeated, beta), starts, steps, generator)
    forward = forward.reshape(n, m)
    back, _ = anneal(energy, wide, (x, beta), posterior, steps, generator, reverse=True)
    base = wide.log_partition(x, beta)
    low = base + log_mean_exp(forward, 1)
    high = base + log_mean_exp(torch.cat([forward[:, 1:], back[:, None]], 1), 1)
    width = abs(weighted_mean(high - low, weights))
    rho = (ends - repeated).square().sum(1).reshape(n, m)
    values = z.values[:2] if widest > 0.0 else z.values
    return Evaluation(
        potential=z.forward - 0.5 * (low + high),
        distortion=(torch.softmax(forward, 1) * rho).sum(1),
        method=f"annealed importance sampling, {z.steps} and {steps} steps, {g.size} components",
        side="estimate",
        common_se=z.se,
        below=z.forward - min(values) + 0.5 * width,
        above=max(values) - z.forward + 0.5 * width,
        ess=z.ess,
        accepted=widest > 0.0 and width <= widest,
    )
