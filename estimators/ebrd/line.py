"""EBRD under absolute error for independent coordinates: eq. (4) by sums over strata, no chains.

Absolute error adds up over coordinates, and so does F where they are independent: one scalar energy
per slope and coordinate, E(y) = sum_i E_i(y_i), is then all there is to learn. Each is
E_i = -log p_ref + MLP with p_ref a Gaussian mixture that is learned along. There is no algebra that
takes the noise out of a fit to the source, as there is under squared error, so p_ref starts wider
than the source and with narrow components at its median, one of which becomes the atom that q* has
at low rates (for the Laplacian 1 / beta^2 of the mass). p_ref proposes the strata
(`_ebrd_absolute_strata`), and both expectations of eq. (4) are sums over them: the noise that is
left is that of the symbols, which are cheap here. Slopes whose noise exp(-beta |z|) is finer than
the strata, above about 4 nats per coordinate, get points near every symbol as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.scalar import ScalarChannel, product
from rdbench.estimators.ebrd.settings import Settings
from rdbench.estimators.ebrd.strata import Proposal, candidates, log_shares
from rdbench.inference.energies import ReferencedEnergy, cosine, widened
from rdbench.inference.scaling import Scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Claim, Monitor, TestChannel, View

_NETWORK_RATE = 2e-3
_REFERENCE_RATE = 3e-2
_MIN_EFFECTIVE = 6.0  # effective strata per symbol, below which points near it join them
_STRATA = 2  # strata over ``batch``
_SYMBOLS = 4  # symbols per iteration over ``batch`` where strata suffice
_FINE_SYMBOLS = 0.5  # the same where they do not
_NEAR = 8  # points near every symbol
_ROWS = 16  # energies trained at once at these numbers; more energies share them
_LEAST = 4.0  # at most so many times fewer
_CLAIM_SYMBOLS = 2000
_NO_CLAIM = Claim(math.nan, math.nan, "estimate")


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Standard coordinates and a first mixture of every coordinate."""

    scalings: tuple[Scaling, ...]
    mixtures: tuple[GaussianMixture, ...]

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "d n"]:
        """Every coordinate in its standard coordinates."""
        parts = x.double().split(1, dim=1)
        return torch.stack(
            [s.forward(part)[:, 0] for s, part in zip(self.scalings, parts, strict=True)]
        )


@dataclass(frozen=True, eq=False)
class _Task:
    """Slopes that are trained as one batch; its rows are (slope, coordinate), slopes outermost."""

    config: Settings
    view: View
    coordinates: Coordinates
    betas: tuple[float, ...]
    fine: bool
    effort: float
    """The share of the full numbers of symbols and strata that every row gets."""

    @property
    def slopes(self) -> Float[Tensor, " R"]:
        """beta in standard coordinates, of every row."""
        scaled = [s.beta(b) for b in self.betas for s in self.coordinates.scalings]
        return torch.tensor(scaled, dtype=torch.float64, device=self.view.device)

    def size(self, multiple: float) -> int:
        """``multiple`` of the batch, or what of it every row gets."""
        return max(4, round(multiple * self.effort * self.config.batch))

    def draw(self, n: int) -> Float[Tensor, "R n"]:
        """Fresh training draws, ascending in every row."""
        x = self.coordinates.forward(self.view.sample(n)).sort(1).values
        return x.repeat(len(self.betas), 1)


def fit_product(
    config: Settings,
    view: View,
    coordinates: Coordinates,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
) -> Iterator[TestChannel]:
    """Train the slopes in two batches, by the strata that they need, and yield their channels.

    Args:
        config: the hyper-parameters.
        view: the problem, under absolute error, with independent coordinates.
        coordinates: a first look at each of them.
        betas: positive slopes.
        generator: on ``view.device``.
        monitor: the budget.
    """
    shared = min(1.0, max(1.0 / _LEAST, _ROWS / (len(betas) * view.dim)))
    whole = _Task(config, view, coordinates, tuple(betas), False, shared)
    fine = _is_fine(whole)
    starts = [widened(mixture) for mixture in _padded(coordinates.mixtures)]
    done = 0
    for kind in (False, True):
        chosen = tuple(b for b, f in zip(betas, fine, strict=True) if f is kind)
        if not chosen:
            continue
        task = replace(whole, betas=chosen, fine=kind)
        energy = ReferencedEnergy(starts * len(chosen), config.hidden, generator)
        size = sum(p[0].numel() for p in energy.parameters())
        monitor.count(parameters=size * len(betas) * view.dim)
        span = done / len(betas), (done + len(chosen)) / len(betas)
        _train(task, energy, span, generator, monitor)
        held = coordinates.forward(view.sample(max(500, _CLAIM_SYMBOLS // view.dim)))
        for i, beta in enumerate(chosen):
            parts = _parts(task, energy, i)
            claims = [p.claim(z, generator) for p, z in zip(parts, held, strict=True)]
            claim = Claim(sum(c[0] for c in claims), sum(c[1] for c in claims), "estimate")
            yield product(beta, parts, claim)
        done += len(chosen)


def _padded(mixtures: Sequence[GaussianMixture]) -> list[GaussianMixture]:
    """Mixtures of one size: the first component is repeated, with a share of its weight."""
    size = max(m.size for m in mixtures)
    out = []
    for m in mixtures:
        copies = torch.ones(m.size, dtype=torch.long, device=m.means.device)
        copies[0] += size - m.size
        weights = (m.weights / copies).repeat_interleave(copies)
        out.append(
            GaussianMixture(
                weights, m.means.repeat_interleave(copies, 0), m.covs.repeat_interleave(copies, 0)
            )
        )
    return out


def _is_fine(task: _Task) -> list[bool]:
    """Where too few strata would be effective at a symbol; the source stands in for q."""
    z = task.coordinates.forward(task.view.sample(task.size(_STRATA)))
    rho = (z[:, :256, None] - z[:, None, :]).abs()
    out = []
    for slopes in task.slopes.reshape(len(task.betas), -1):
        posterior = torch.softmax(-slopes[:, None, None] * rho, 2)
        effective = (1.0 / posterior.square().sum(2)).mean(1)
        out.append(bool((effective < _MIN_EFFECTIVE).any()))
    return out


def _parts(task: _Task, energies: ReferencedEnergy, index: int) -> list[ScalarChannel]:
    """The coordinates of one slope, frozen."""
    scalings = task.coordinates.scalings
    slopes = task.slopes.reshape(len(task.betas), -1)[index]
    return [
        ScalarChannel(energies.single(index * len(scalings) + i), scaling, slopes[i : i + 1])
        for i, scaling in enumerate(scalings)
    ]


def _train(
    task: _Task,
    energy: ReferencedEnergy,
    span: tuple[float, float],
    generator: Generator,
    monitor: Monitor,
) -> None:
    """Descend eq. (4); ``energy`` becomes the running mean of the weights."""
    config = task.config
    groups = [
        {"params": energy.reference_parameters, "lr": config.reference_rate or _REFERENCE_RATE},
        {
            "params": list(energy.network.parameters()),
            "lr": config.learning_rate or _NETWORK_RATE,
        },
    ]
    optimiser = torch.optim.Adam(groups, betas=(0.5, 0.999))
    iterations = max(1, round(config.iterations * monitor.effort))
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / iterations))
    average = torch.optim.swa_utils.AveragedModel(energy, avg_fn=_running_mean(config.averaging))
    mean = cast(ReferencedEnergy, average.module)

    def build() -> list[TestChannel]:
        return [product(b, _parts(task, mean, i), _NO_CLAIM) for i, b in enumerate(task.betas)]

    for iteration in range(iterations):
        done = span[0] + (span[1] - span[0]) * iteration / iterations
        if not monitor.advance(done) or (iteration % 16 == 8 and not monitor.checkpoint(build)):
            break
        optimiser.zero_grad()
        _objective(task, energy, generator).backward()
        optimiser.step()
        decay.step()
        average.update_parameters(energy)
        monitor.count(gradient_steps=1)
    energy.load_state_dict(mean.state_dict())


def _objective(task: _Task, energy: ReferencedEnergy, generator: Generator) -> Tensor:
    """A scalar whose gradient is that of eq. (4), summed over the rows."""
    proposal = Proposal(energy.mixtures())
    value, shares = (_fine if task.fine else _coarse)(task, energy, proposal, generator)
    total: Tensor = (shares.float() * value).sum()
    return total


def _coarse(
    task: _Task, energy: ReferencedEnergy, proposal: Proposal, generator: Generator
) -> tuple[Float[Tensor, "R m"], Float[Tensor, "R m"]]:
    """E at the strata, and the weights there under p(y|x), averaged over x, less those under q."""
    x = task.draw(task.size(_SYMBOLS))
    y = proposal.sample(task.size(_STRATA), generator)
    value = energy(y[..., None].float())
    log_w = -value.detach().double() - proposal.log_prob(y)
    return value, log_shares(y, log_w, x, task.slopes).exp() - torch.softmax(log_w, 1)


def _fine(
    task: _Task, energy: ReferencedEnergy, proposal: Proposal, generator: Generator
) -> tuple[Float[Tensor, "R m"], Float[Tensor, "R m"]]:
    """The same with points near every symbol added."""
    x, m = task.draw(task.size(_FINE_SYMBOLS)), task.size(_STRATA)
    points = candidates(proposal, x, task.slopes, (m, _NEAR), generator)
    near = points.near.flatten(1)
    value = energy(torch.cat([points.common, near], 1)[..., None].float())
    at_common, at_near = value.detach().double().split([m, near.shape[1]], 1)
    log_w = points.log_weights(at_common, at_near.reshape(points.near.shape), x, task.slopes)
    under_p = torch.softmax(torch.cat(log_w, 2), 2) / x.shape[1]
    under_q = torch.softmax(-at_common - points.log_g, 1)
    return value, torch.cat([under_p[..., :m].sum(1) - under_q, under_p[..., m:].flatten(1)], 1)


def _running_mean(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    def mean(old: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        # A plain mean at first, so that the start is forgotten at once.
        return torch.lerp(old, new, max(1.0 - decay, 1.0 / (int(count) + 1)))

    return mean
