"""Section III-B of the EBRD paper as an experiment: beta -> infinity against a classical EBM.

    python -m rdbench.papers.ebrd.limit

makes the tables in ``data`` again (about 80 CPU seconds; on one thread the same rows each time),
which are committed: the answer does not depend on any estimator.

Both models descend along E_positive[grad E] - E_q[grad E]. The positive phase of the classical
energy-based model is the source itself, that of EBRD (eq. 4) the marginal of p(x) p_theta(y|x),
p_theta(y|x) ~ q_theta(y) exp(-beta |x - y|^2). Everything else is shared: one network per beta with
the same initial weights, the same Adam steps, the same negative phase. In one and two dimensions
all expectations are sums over a grid (`limit_grid`), so that no sampling noise hides the limit and
runs differ between seeds by the initial weights alone.

What is expected: with rho squared error, -E log Z_q(X) is the cross entropy between p and q
smoothed by N(0, I / (2 beta)), up to a constant. The optimum of EBRD is therefore the source
*deconvolved* by that noise, q*_beta, and that of the classical model the source p. As

    q*_beta = p - (1 / (4 beta)) Laplace p + O(1 / beta^2),

total variation falls like 1/beta and KL(p || q*_beta) like 1/beta^2; at a given theta the two
gradients differ by O(1/beta).

The tables, divergences in nats, total variation from 0 to 1:

- ``learned``: one EBRD model beside the classical EBM of the same seed. ``kl`` is
  KL(learned EBM || learned EBRD) and ``tv`` their total variation; ``kl_optimal`` and
  ``tv_optimal`` are those of p and q*_beta, the prediction. Training left ``residual_ebm``
  = KL(p || learned EBM) and ``residual_ebrd`` = KL(q*_beta || learned EBRD). ``gradient_start``
  and ``gradient_end`` are |difference of the two gradients| / |E_p grad E| at the initial theta
  and at that of the trained EBM; ``true_rate`` is R*(beta).
- ``densities``: of the first seed on the line: the source, the EBM and EBRD at one slope, q*_beta.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.inference.networks import BatchedMLP
from rdbench.papers.ebrd.limit_grid import Grid, Smoothing, divergence, grid_over, total_variation
from rdbench.references.shannon import TightShannonBound
from rdbench.run.seeds import seed_for
from rdbench.sources.mixture import GaussianMixture, paper_mixture, two_modes

LADDER = (0.6, 1.0, 2.0, 5.0, 20.0, 65.0, 500.0)
"""Slopes. At 1/2 the optimum on both sources is atoms; at 65 R* is 5.97 nats on the mixture."""
SEEDS = 3
_LEARNING_RATE = 2e-2
_NEGLIGIBLE = 1e-10
_BASE = 1.5
"""Standard deviation of exp(-E) before training, in units of the source's."""


DATA = Path(__file__).parent / "data"
FILES = {"learned": DATA / "limit.csv", "densities": DATA / "limit-densities.csv"}
Row = dict[str, Any]


def load() -> dict[str, pd.DataFrame]:
    """The committed tables, by the names of ``FILES``."""
    return {name: pd.read_csv(path) for name, path in FILES.items()}


@dataclass(frozen=True, eq=False)
class Stage:
    """A source on its grid, and the smoothing of every model; the first is the classical EBM."""

    name: str
    source: GaussianMixture
    grid: Grid
    smoothing: Smoothing

    @property
    def masses(self) -> Float[Tensor, " n"]:
        """p on the nodes, nothing where it is below 1e-10 of its maximum.

        So far out q may be far below p while it learns, and Z below its own discretisation error.
        """
        log_p = self.source.log_prob(self.grid.nodes)
        kept = log_p > log_p.max() + math.log(_NEGLIGIBLE)
        return self.grid.masses(torch.where(kept, log_p, -math.inf))


class Energies(torch.nn.Module):
    """E_b(y) = MLP_b(y / s) + |y|^2 / (2 (1.5 s)^2), s the standard deviation of the source."""

    def __init__(self, stage: Stage, hidden: int, seed: int) -> None:
        super().__init__()
        nodes = stage.grid.nodes
        scale = math.sqrt(float(stage.masses @ nodes.square().sum(1)) / nodes.shape[1])
        stream = seed_for("limit", stage.name, seed)
        self._y = (nodes / scale).expand(len(stage.smoothing.betas), -1, -1)
        self._base = 0.5 * (nodes / (_BASE * scale)).square().sum(1)
        self.net = BatchedMLP(
            len(stage.smoothing.betas),
            nodes.shape[1],
            hidden,
            torch.Generator().manual_seed(stream),
        ).double()

    def forward(self) -> Float[Tensor, "B n"]:
        """E_b at every node."""
        out: Tensor = self.net(self._y) + self._base
        return out

    def copy_from(self, index: int) -> None:
        """Give every model the weights of one of them."""
        with torch.no_grad():
            for weight in self.net.parameters():
                weight.copy_(weight[index : index + 1].expand_as(weight).clone())


def run() -> dict[str, list[Row]]:
    """Run the experiment: the rows of both tables."""
    learned: list[Row] = []
    densities: list[Row] = []
    for stage in stages():
        for seed in range(SEEDS):
            print(f"beta to infinity: {stage.name}, seed {seed}", flush=True)
            rows, drawn = learn(stage, seed)
            learned += rows
            densities += drawn if seed == 0 else []
    return {"learned": learned, "densities": densities}


def learn(
    stage: Stage, seed: int, steps: int = 1000, hidden: int = 32
) -> tuple[list[Row], list[Row]]:
    """Train every model of a source from the same initial weights.

    Args:
        stage: the source on its grid.
        seed: of the initial weights.
        steps: of Adam.
        hidden: units of each layer.
    """
    energies = Energies(stage, hidden, seed)
    start = gradient_differences(stage, energies)
    train(stage, energies, steps)
    masses = stage.grid.masses(-energies().detach())
    energies.copy_from(0)
    end = gradient_differences(stage, energies)
    return _rows(stage, seed, masses, start, end), _densities(stage, masses)


def stages() -> tuple[Stage, ...]:
    """The two modes on the line and the paper's mixture, each on a grid 5 deviations wide."""
    betas = (math.inf, *LADDER)
    line = grid_over([-9.0], [9.0], 0.03)
    plane = grid_over([-8.0, -10.2], [11.0, 10.2], 0.35)
    return (
        Stage("two modes", two_modes(), line, Smoothing(line, betas)),
        Stage("paper mixture", paper_mixture(), plane, Smoothing(plane, betas)),
    )


def train(stage: Stage, energies: Energies, steps: int) -> None:
    """Adam along E_positive[grad E] - E_q[grad E] with a cosine schedule, all models at once."""
    p = stage.masses
    descent = torch.optim.Adam(energies.net.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
    for _ in range(steps):
        energy = energies()
        with torch.no_grad():
            q = stage.grid.masses(-energy)
            weights = stage.smoothing.positive_phase(p, q) - q
        descent.zero_grad()
        (weights * energy).sum().backward()
        descent.step()
        schedule.step()


def gradient_differences(stage: Stage, energies: Energies) -> Float[Tensor, " B"]:
    """|E_positive[grad E] - E_p[grad E]| / |E_p[grad E]| of every model at its theta."""
    p = stage.masses
    with torch.no_grad():
        q = stage.grid.masses(-energies())
        shift = stage.smoothing.positive_phase(p, q) - p
    return _gradient_norms(energies, shift) / _gradient_norms(energies, p.expand_as(shift))


def _gradient_norms(energies: Energies, weights: Tensor) -> Tensor:
    """Norms over theta of sum_j weights_j grad E(y_j), per model."""
    energies.net.zero_grad()
    (weights * energies()).sum().backward()
    squares = torch.zeros(len(weights), dtype=torch.float64)
    for weight in energies.net.parameters():
        assert weight.grad is not None
        squares += weight.grad.square().flatten(1).sum(1)
    return squares.sqrt()


def _rows(stage: Stage, seed: int, masses: Tensor, start: Tensor, end: Tensor) -> list[Row]:
    truth = TightShannonBound(stage.source)
    nodes, p, ebm = stage.grid.nodes, stage.masses, masses[0]
    rows = []
    for k, beta in enumerate(stage.smoothing.betas[1:], start=1):
        optimal = stage.grid.masses(truth.reproduction(beta).log_prob(nodes))
        rows.append({
            "source": stage.name,
            "dim": stage.source.dim,
            "seed": seed,
            "beta": beta,
            "true_rate": truth.point(beta).rate.hi,
            "kl": float(divergence(ebm, masses[k])),
            "tv": float(total_variation(ebm, masses[k])),
            "kl_optimal": float(divergence(p, optimal)),
            "tv_optimal": float(total_variation(p, optimal)),
            "residual_ebm": float(divergence(p, ebm)),
            "residual_ebrd": float(divergence(optimal, masses[k])),
            "gradient_start": float(start[k]),
            "gradient_end": float(end[k]),
        })  # fmt: skip
    return rows


def _densities(stage: Stage, masses: Tensor) -> list[Row]:
    """Every few nodes on the line: enough for a picture. Elsewhere none."""
    if stage.source.dim > 1:
        return []
    truth = TightShannonBound(stage.source)
    nodes = stage.grid.nodes
    source = stage.source.log_prob(nodes).exp()
    rows = []
    for k, beta in enumerate(stage.smoothing.betas[1:], start=1):
        optimal = truth.reproduction(beta).log_prob(nodes).exp()
        ebm, ebrd = (masses[i] / stage.grid.step for i in (0, k))
        columns = {"source": source, "ebm": ebm, "ebrd": ebrd, "optimal": optimal}
        rows += [
            {"y": float(nodes[n, 0]), "beta": beta}
            | {name: float(values[n]) for name, values in columns.items()}
            for n in range(0, len(nodes), 3)
        ]
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, rows in run().items():
        pd.DataFrame(rows).to_csv(FILES[name], index=False)
