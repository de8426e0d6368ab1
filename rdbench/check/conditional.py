"""Do the draws of p(y|x) follow what the channel says they follow?

``boltzmann``: p(y|x) = q(y) exp(-beta rho(x, y)) / Z(x). On the line, in the plane and for atoms
its moments are sums over the nodes of q, with which those of the draws are compared. ``encoder``:
any density, but then R + beta D >= F(q_Y) has to hold of what is claimed, with D that of the draws.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.check.attempts import stream
from rdbench.check.bench import Bench, Judged
from rdbench.check.findings import Outcome, judged, skipped
from rdbench.check.invariance import BASE
from rdbench.check.problems import Probe
from rdbench.outcomes import in_words
from rdbench.types import Atoms, Density, Gaussians, Marginal, Product, Pushforward, TestChannel

_SYMBOLS, _EACH = 200, 32
_NODES = {1: 8001, 2: 161}  # along each axis, by the dimension
_SAMPLED = (Pushforward, Product, Gaussians)  # a mixture may be singular
_PUSHED = 20_000  # draws that stand for one of these
_SPLITS = 8
_SIGMAS = 6.0
_SLACK = 0.1  # of the width of p(y|x): what a few Metropolis steps may leave
_D_SLACK = 0.1  # relative
_CLAIM_SLACK = 0.08  # nats


def conditional(bench: Bench) -> Outcome:
    """The draws belong to the kind that is stated."""
    faults: list[str] = []
    points = _points(bench)
    if not points:
        return skipped("no channel to draw from")
    for one in points:
        where = f"{one.probe.label}, beta = {one.channel.beta:.4g}"
        try:
            if one.channel.conditional_kind == "encoder":
                fault = _encoder(one)
            else:
                fault = _boltzmann(one.channel, one.probe)
        except Exception as problem:  # an estimator's code may raise anything
            fault = f"drawing from p(y|x) raised {in_words(problem)}"
        if fault:
            faults.append(f"{where}: {fault}")
    kinds = sorted({one.channel.conditional_kind for one in points})
    return judged(faults, f"the draws are of the kind that is stated ({', '.join(kinds)})")


def _points(bench: Bench) -> list[Judged]:
    """On the line, and in the plane, where coordinates depend on each other."""
    probes = (bench.base, BASE) if bench.continuous else (bench.base,)
    return [one for probe in probes for one in bench.audits(probe)]


def _encoder(one: Judged) -> str:
    """Every encoder has I(X; Y) + beta D >= F(q_Y); and D is that of its draws."""
    x = one.probe.problem.source.sample(_SYMBOLS, stream("conditional", "x")).double()
    y = one.channel.sample_conditional(x, _EACH, stream("conditional", "y")).detach().double()
    rho = _rho(one.probe, x, y)
    distortion, se = float(rho.mean()), float(rho.mean(1).std()) / math.sqrt(len(x))
    claimed = one.channel.claim.distortion
    if abs(distortion - claimed) > _SIGMAS * se + _D_SLACK * distortion:
        return (
            f"it claims D = {claimed:.4g}, but its draws of p(y|x) give {distortion:.4g}; rate and "
            "distortion have to be those of one channel"
        )
    inside = one.interval
    if inside is not None and one.claimed < inside[0] - _CLAIM_SLACK * math.sqrt(one.probe.dim):
        return (
            f"it claims R + beta D = {one.claimed:.4g} nats with an encoder of its own, below "
            f"F(q_Y) = {inside[0]:.4g}, which no encoder can; this usually means that its log "
            "density is too low, or that rate and q belong to different priors"
        )
    return ""


def _boltzmann(channel: TestChannel, probe: Probe) -> str:
    x = probe.problem.source.sample(_SYMBOLS, stream("conditional", "x")).double()
    y = channel.sample_conditional(x, _EACH, stream("conditional", "y")).detach().double()
    points, log_weights = _nodes(channel.marginal, x)
    pairwise = probe.problem.distortion.pairwise(x, points)
    rho = _rho(probe, x, y)
    centre = x.mean(0)
    spread = float((x - centre).square().sum(1).mean())
    # Functions of (x, y) that move when draws are too wide, too narrow, shrunk or of another x.
    of_nodes = {
        "E rho(x, y)": pairwise,
        "E <x, y>": (x - centre) @ (points - centre).T / spread,
        "E |y|^2": (points - centre).square().sum(1).expand_as(pairwise) / spread,
    }
    of_draws = {
        "E rho(x, y)": rho,
        "E <x, y>": ((y - centre) @ (x - centre)[:, :, None])[..., 0] / spread,
        "E |y|^2": (y - centre).square().sum(2) / spread,
    }
    logits = log_weights - channel.beta * pairwise
    chances = torch.softmax(logits, 1)
    pushed = isinstance(channel.marginal, _SAMPLED)
    for name, values in of_nodes.items():
        mean = (chances * values).sum(1)
        variance = ((chances * values.square()).sum(1) - mean.square()).clamp(min=0.0)
        off = float((of_draws[name].mean(1) - mean).mean())
        se = math.sqrt(float(variance.sum()) / _EACH) / len(x)
        if pushed:
            se = math.hypot(se, _split_error(logits, values))
        width = math.sqrt(float(variance.mean()))
        if abs(off) > _SIGMAS * se + _SLACK * width + 1e-9:
            exact = float(mean.mean())
            return (
                f"{name} is {exact + off:.4g} over its draws of p(y|x), and {exact:.4g} by "
                "q(y) exp(-beta rho) / Z; say conditional_kind='encoder' where p(y|x) is a density "
                "of its own, else this usually means a wrong beta, or chains that stop too early"
            )
    return ""


def _rho(probe: Probe, x: Float[Tensor, "n d"], y: Float[Tensor, "n k d"]) -> Float[Tensor, "n k"]:
    pairwise = probe.problem.distortion.pairwise
    return torch.cat([pairwise(one[None], draws) for one, draws in zip(x, y, strict=True)])


def _nodes(
    marginal: Marginal, x: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, "m d"], Float[Tensor, " m"]]:
    """Points and log weights that stand for q: atoms, exact draws, a grid of all others."""
    if isinstance(marginal, Atoms):
        return marginal.points.double(), marginal.log_weights.double()
    if isinstance(marginal, _SAMPLED):
        points = marginal.sample(_PUSHED, stream("conditional", "q")).detach().double()
        return points, torch.full((len(points),), -math.log(len(points)), dtype=torch.float64)
    draws = torch.cat([x, marginal.sample(2000, stream("conditional", "q")).detach().double()])
    lo, hi = draws.min(0).values, draws.max(0).values
    reach = (0.5 if x.shape[1] == 1 else 0.25) * (hi - lo)
    axes = [
        torch.linspace(float(a), float(b), _NODES[x.shape[1]], dtype=torch.float64)
        for a, b in zip(lo - reach, hi + reach, strict=True)
    ]
    grid = torch.cartesian_prod(*axes).reshape(-1, x.shape[1])
    if isinstance(marginal, Density):
        values = marginal.log_prob(grid).detach()
    else:
        values = -marginal.at(grid).detach()
    return grid, values - values.logsumexp(0)


def _split_error(logits: Float[Tensor, "n m"], values: Float[Tensor, "n m"]) -> float:
    """The standard error of a self-normalised mean that the draws of q leave."""
    parts = [
        float((torch.softmax(a, 1) * b).sum(1).mean())
        for a, b in zip(logits.chunk(_SPLITS, 1), values.chunk(_SPLITS, 1), strict=True)
    ]
    return float(torch.tensor(parts).std()) / math.sqrt(_SPLITS)
