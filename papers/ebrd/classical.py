"""A classical energy-based model and EBRD at finite beta, and R(D) by the classical one.

    python -m rdbench.papers.ebrd.classical

makes the tables in ``data`` again (about a CPU minute; on one thread the same rows each time),
which are committed. The models, the source (the paper's mixture in the plane), the grid and the
training are those of `limit`: one network, the same initial weights; the positive phase of the
classical model is the source, that of EBRD the marginal of p(x) p_theta(y|x) at beta.

The energy of the classical model is one of p, not of q*_beta. Taken as the reproduction marginal
of Lemma 1 it gives a test channel at every slope without further training, and a valid upper bound
F(q) = -E log int q(y) exp(-beta |X - y|^2) dy of F*(beta). With q = p exactly, what is lost is
KL(p || p * N(0, I / (2 beta))): about nothing at high rates, and more and more at low ones.

The tables, gaps in nats:

- ``gaps``: F(q) - F* at every slope, q being the learned classical EBM (``classical``), the
  learned EBRD (``ebrd``) and the source's own density (``source``), what a perfect classical EBM
  has; ``true_rate`` is R*, ``rate_classical`` the R of the classical q at that slope. All are sums
  over the grid, paired with q*_beta, so that there is no sampling noise.
- ``energies``: -log of the densities at the nodes, to the least of each: the source, the classical
  EBM, and EBRD and q*_beta at the slopes of ``SHOWN``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.papers.ebrd.limit import Energies, Stage, train
from rdbench.papers.ebrd.limit_grid import Smoothing, grid_over
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.mixture import paper_mixture

LADDER = (0.55, 0.7, 1.0, 2.0, 5.0, 20.0)
"""Slopes: R* from 1.2 to 4.8 nats. Below 1/2 q* is not known in closed form."""
SHOWN = (0.55, 1.0, 5.0)
DATA = Path(__file__).parent / "data"
FILES = {"gaps": DATA / "classical.csv", "energies": DATA / "classical-energies.csv"}
Row = dict[str, Any]
_HIGHEST = 14.0  # nats of an energy that are kept: the density is below 1e-6 of its maximum


def load() -> dict[str, pd.DataFrame]:
    """The committed tables, by the names of ``FILES``."""
    return {name: pd.read_csv(path) for name, path in FILES.items()}


def stage() -> Stage:
    """The paper's mixture on its grid, the classical model first."""
    plane = grid_over([-8.0, -10.2], [11.0, 10.2], 0.35)
    return Stage("paper mixture", paper_mixture(), plane, Smoothing(plane, (math.inf, *LADDER)))


def run(one: Stage, steps: int = 1000, hidden: int = 32, seed: int = 0) -> dict[str, list[Row]]:
    """Train the classical model and EBRD at every slope; the rows of both tables.

    Args:
        one: the source, its grid and the slopes.
        steps: of Adam.
        hidden: units of each layer.
        seed: of the initial weights, shared by all models.
    """
    energies = Energies(one, hidden, seed)
    train(one, energies, steps)
    learned = one.grid.masses(-energies().detach())
    truth, nodes = TightShannonBound(one.source), one.grid.nodes
    betas = one.smoothing.betas[1:]
    optimal = torch.stack(
        [one.grid.masses(truth.reproduction(beta).log_prob(nodes)) for beta in betas]
    )
    gaps = []
    for k, beta in enumerate(betas):
        smoothing = Smoothing(one.grid, (beta,))
        marginals = torch.stack([optimal[k], learned[0], learned[k + 1], one.masses])
        lagrangians = [_lagrangian(one, smoothing, q) for q in marginals]
        best, classical, ebrd, source = lagrangians
        point = truth.point(beta)
        gaps.append({
            "beta": beta, "true_rate": point.rate.mid, "classical": classical - best,
            "ebrd": ebrd - best, "source": source - best,
            "rate_classical": point.lagrangian.mid + classical - best
            - beta * distortion(one, beta, learned[0]),
        })  # fmt: skip
    columns = {"source": one.masses, "classical": learned[0]}
    for beta in SHOWN:
        k = betas.index(beta)
        columns |= {f"ebrd {beta:g}": learned[k + 1], f"optimal {beta:g}": optimal[k]}
    energy = {name: (q.max() / q).log().clamp(max=_HIGHEST) for name, q in columns.items()}
    axes = [f"y{axis + 1}" for axis in range(one.source.dim)]
    rows = [
        dict(zip(axes, y.tolist(), strict=True))
        | {name: round(float(values[n]), 3) for name, values in energy.items()}
        for n, y in enumerate(nodes)
    ]
    return {"gaps": gaps, "energies": rows}


def _lagrangian(one: Stage, smoothing: Smoothing, q: Float[Tensor, " n"]) -> float:
    """-E log of the smoothed q: F(q), but for a constant that all q share."""
    smooth = smoothing(q[None])[0].clamp(min=1e-300)
    return -float(one.masses @ smooth.log())


def distortion(one: Stage, beta: float, q: Float[Tensor, " n"]) -> float:
    """D of p(x) q(y) exp(-beta |x - y|^2) / Z(x), by dF / d beta: D = dF / d beta at fixed q.

    F(q) holds the smoothed q and the constant -(d / 2) log(pi / beta) that smoothing leaves out.
    """
    step, dim = 1e-3 * beta, one.source.dim
    ends = [_lagrangian(one, Smoothing(one.grid, (b,)), q) for b in (beta - step, beta + step)]
    return (ends[1] - ends[0]) / (2.0 * step) + 0.5 * dim / beta


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, rows in run(stage()).items():
        pd.DataFrame(rows).to_csv(FILES[name], index=False)
