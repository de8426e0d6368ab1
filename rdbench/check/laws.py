"""Do the draws, the log density and the gradient of one marginal belong together?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rdbench.check.attempts import stream
from rdbench.types import Density, Energy

_KS = 2.2  # sqrt(n) times the distance of two distribution functions: exceeded once in 10^4
_DRAWS, _NODES = 4000, 20_001
_BINS = 0.01  # of distance, what quadrature between the nodes may cost
_CHAINS = 0.05  # of distance, what chains of finite length may leave
_POINTS = 64
_STEP = 3e-3  # of the width of q: a float32 network still has three digits of the difference
_OFF = 0.1  # relative, of a slope
_FLAT = 0.02  # of the usual slope, below which a slope is taken for rounding
_STRAY = 0.25  # the share of points that may be off, at kinks and in rounding


def fault_on_line(q: Density | Energy) -> str:
    """Mass (of a density) and distribution function on a grid, against draws, for d = 1."""
    draws = q.sample(_DRAWS, stream("density", "draws")).detach()[:, 0].sort().values
    width = float(draws[-1] - draws[0])
    if not width > 0.0:
        return "all its draws are equal, which no density allows"
    lo, hi = float(draws[0]) - width, float(draws[-1]) + width
    nodes = torch.cat([torch.linspace(lo, hi, _NODES, dtype=torch.float64), draws]).sort().values
    logs = _log_density(q, nodes[:, None])
    values = logs.exp() if isinstance(q, Density) else (logs - logs.max()).exp()
    steps = 0.5 * (values[1:] + values[:-1]) * nodes.diff()
    mass = float(steps.sum())
    if isinstance(q, Density) and abs(mass - 1.0) > 0.02:
        return f"exp(log_prob) integrates to {mass:.4g}, not to one"
    reached = torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)]) / mass
    at_draws = reached[torch.searchsorted(nodes, draws)]
    ranks = (torch.arange(_DRAWS, dtype=torch.float64) + 0.5) / _DRAWS
    distance = float((at_draws - ranks).abs().max())
    slack = _BINS if isinstance(q, Density) else _CHAINS
    if distance > _KS / math.sqrt(_DRAWS) + slack:
        what = "its log_prob" if isinstance(q, Density) else "exp(-E) / Z of its energy E"
        return f"its draws and {what} differ: by {distance:.3g} in distribution function"
    return ""


def _log_density(q: Density | Energy, y: Tensor) -> Tensor:
    return (q.log_prob(y) if isinstance(q, Density) else -q.at(y)).detach()


def fault_of_gradient(q: Energy) -> str:
    """The gradient of an energy against central differences of its value, at its own draws."""
    y = q.sample(_POINTS, stream("gradient", "y")).detach()
    width = float(y.std(0).norm())
    if not width > 0.0:
        return ""
    ways = torch.randn(y.shape, generator=stream("gradient", "u"), dtype=torch.float64)
    ways = ways / ways.norm(dim=1, keepdim=True)
    step = _STEP * width * ways
    ahead, behind = (q.value_and_grad(at)[0].detach() for at in (y + step, y - step))
    seen = (ahead - behind) / (2.0 * _STEP * width)
    told = (q.value_and_grad(y)[1].detach() * ways).sum(1)
    known = torch.isfinite(seen)
    if not bool(known.any()):
        return ""
    seen, told = seen[known], told[known]
    usual = max(float(seen.square().mean().sqrt()), 1.0 / width)
    off = ~((told - seen).abs() <= _OFF * seen.abs() + _FLAT * usual)
    if float(off.double().mean()) <= _STRAY:
        return ""
    worst = int((told - seen).abs().nan_to_num(nan=math.inf).argmax())
    return (
        f"its gradient is not that of its value: a slope of {float(told[worst]):.4g} where "
        f"differences of E give {float(seen[worst]):.4g}; this usually means a wrong sign (E is "
        "-log q), or a change of coordinates left out"
    )
