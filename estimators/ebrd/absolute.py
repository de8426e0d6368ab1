"""The preset ``mixture`` under absolute error: scalar energies, without chains where possible.

Absolute error adds up over coordinates, and so does F where held-out likelihood finds them
independent (always for d = 1): one scalar energy per slope and coordinate, E(y) = sum_i E_i(y_i),
is then all there is to learn. Each is E_i = -log p_ref + MLP with p_ref a Gaussian mixture that is
learned along (`scalar`). There is no algebra that takes the noise out of a fit to the source, as
there is under squared error, so p_ref starts wider than the source and with narrow components at
its median, one of which becomes the atom that q* has at low rates (for the Laplacian 1 / beta^2 of
the mass). p_ref proposes the strata (`strata`), and both expectations of eq. (4) are sums over
them: the noise that is left is that of the symbols, which are cheap here. Slopes whose noise
exp(-beta |z|) is finer than the strata, above about 4 nats per coordinate, get points near every
symbol as well.

Where coordinates depend on each other the energy is the one of the default, without a mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.pure import energy_channels
from rdbench.estimators.ebrd.scalar import ScalarChannel, ScalarEnergies, product
from rdbench.estimators.ebrd.settings import Settings
from rdbench.estimators.ebrd.strata import Proposal, candidates, log_responsibilities
from rdbench.fitting import NO_CLAIM, RunningMean, Task, cosine, iterate, standardised, stopped
from rdbench.inference.em import select_mixture, widened
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Claim, Monitor, Refusal, TestChannel, View

_NARROWEST = 1e-8  # least variance of a component, in standard coordinates
_NETWORK_RATE = 2e-3
_REFERENCE_RATE = 3e-2
_MIN_EFFECTIVE = 6.0  # effective strata per symbol, below which points near it join them
_STRATA = 2  # strata over ``batch``
_SYMBOLS = 4  # symbols per iteration over ``batch`` where strata suffice
_FINE_SYMBOLS = 0.5  # the same where they do not
_NEAR = 8  # points near every symbol
_ROWS = 16  # energies trained at once at these numbers; more energies share them
_LEAST = 4.0  # at most so many times fewer


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Standard coordinates and a first mixture of every coordinate."""

    scalings: tuple[Scaling, ...]
    mixtures: tuple[GaussianMixture, ...]

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "d n"]:
        """Every coordinate in its standard coordinates."""
        parts = x.split(1, dim=1)
        return torch.stack(
            [s.forward(part)[:, 0] for s, part in zip(self.scalings, parts, strict=True)]
        )


def fit_absolute(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """The preset ``mixture`` under absolute error.

    Args:
        config: the hyper-parameters.
        view: the problem, under absolute error.
        betas: positive slopes.
        generator: on ``view.device``.
        monitor: the budget.
    """

    def method(task: Task) -> Iterator[TestChannel]:
        if task.dim == 1:
            coordinates: Coordinates | None = first_look(config, task, task.warm)
        else:
            coordinates = independent(config, task)
        if coordinates is None:
            return energy_channels(config, task)
        return _product_channels(config, task, coordinates)

    return standardised(method, view, betas, generator, monitor, warm=config.warm_draws)


def first_look(config: Settings, task: Task, x: Float[Tensor, "n d"]) -> Coordinates:
    """A scaling and a mixture for every coordinate."""
    scalings, mixtures = [], []
    for column in x.split(1, dim=1):
        # On the line the task is in standard coordinates already.
        scaling = Scaling(x.new_zeros(1), 1.0, 1)
        if task.dim > 1:
            scaling = fit_scaling(column, task.distortion)
        task.go_on()
        found = select_mixture(scaling.forward(column), config.components, task.generator)
        covs = found.covs.clamp(min=_NARROWEST)
        scalings.append(scaling)
        mixtures.append(GaussianMixture(found.weights, found.means, covs))
    return Coordinates(tuple(scalings), tuple(mixtures))


def independent(config: Settings, task: Task) -> Coordinates | None:
    """The coordinates, or None where they depend on each other.

    They do where a mixture on R^d explains held-out draws better than the product of the mixtures
    of single coordinates, by at least ``dependence`` nats per draw.
    """
    x = task.warm[: config.judging_draws]
    found = first_look(config, task, x)
    fitted = found.forward(x)
    held_out = found.forward(task.draws.held_out(config.judging_draws))
    # Where a coordinate is constant, only narrowest variances would be compared.
    varies = [i for i, z in enumerate(fitted) if bool((z != z[0]).any())]
    if not varies:
        return found
    together = select_mixture(fitted[varies].T, config.components, task.generator)
    gain = together.log_prob(held_out[varies].T)
    for i in varies:
        gain = gain - found.mixtures[i].log_prob(held_out[i][:, None])
    return found if float(gain.mean()) < config.dependence else None


@dataclass(frozen=True, eq=False)
class Rows:
    """Slopes that are trained as one batch; its rows are (slope, coordinate), slopes outermost."""

    config: Settings
    task: Task
    coordinates: Coordinates
    betas: tuple[float, ...]
    fine: bool
    effort: float
    """The fraction of the full numbers of symbols and strata that every row gets."""

    @property
    def slopes(self) -> Float[Tensor, " R"]:
        """beta in the standard coordinates of every row."""
        scaled = [s.beta(b) for b in self.betas for s in self.coordinates.scalings]
        return torch.tensor(scaled, dtype=torch.float64, device=self.task.device)

    def size(self, multiple: float) -> int:
        """``multiple`` of the batch, or what of it every row gets."""
        return max(4, round(multiple * self.effort * self.config.batch))

    def draw(self, n: int) -> Float[Tensor, "R n"]:
        """Training draws, ascending in every row."""
        x = self.coordinates.forward(self.task.draws.sample(n)).sort(1).values
        return x.repeat(len(self.betas), 1)

    def parts(self, energies: ScalarEnergies, index: int) -> list[ScalarChannel]:
        """The coordinates of one slope, frozen."""
        scalings = self.coordinates.scalings
        slopes = self.slopes.reshape(len(self.betas), -1)[index]
        return [
            ScalarChannel(energies.single(index * len(scalings) + i), scaling, slopes[i : i + 1])
            for i, scaling in enumerate(scalings)
        ]


def _product_channels(
    config: Settings, task: Task, coordinates: Coordinates
) -> Iterator[TestChannel]:
    """Train the slopes in two batches, by the strata that they need, and yield their channels."""
    count, generator = len(task.betas) * task.dim, task.generator
    share = min(1.0, max(1.0 / _LEAST, _ROWS / count))
    whole = Rows(config, task, coordinates, task.betas, False, share)
    fine = _is_fine(whole)
    starts = [widened(mixture) for mixture in _padded(coordinates.mixtures)]
    chosen = {
        kind: tuple(b for b, f in zip(task.betas, fine, strict=True) if f is kind)
        for kind in (False, True)
    }
    groups = [replace(whole, betas=betas, fine=kind) for kind, betas in chosen.items() if betas]
    for index, rows in enumerate(groups):
        energies = ScalarEnergies(starts * len(rows.betas), config.hidden, generator)
        size = sum(p[0].numel() for p in energies.parameters())
        task.monitor.count(parameters=size * count)
        trained, done = _train(rows, energies, (index, len(groups)))
        wanted = config.claim_draws or max(500, 2000 // task.dim)
        claimed_on = coordinates.forward(task.draws.claim(wanted))
        for i, beta in enumerate(rows.betas):
            parts = rows.parts(trained, i)
            claims = [p.claim(z, generator) for p, z in zip(parts, claimed_on, strict=True)]
            claim = Claim(sum(c[0] for c in claims), sum(c[1] for c in claims), "estimate")
            made = product(beta, parts, claim)
            yield made if done else stopped(made)


def _padded(mixtures: Sequence[GaussianMixture]) -> list[GaussianMixture]:
    """Mixtures of one size: the first component is repeated, with a share of its weight."""
    size = max(m.size for m in mixtures)
    out = []
    for m in mixtures:
        copies = torch.ones(m.size, dtype=torch.long, device=m.means.device)
        copies[0] += size - m.size
        weights, means, covs = (
            part.repeat_interleave(copies, 0) for part in (m.weights / copies, m.means, m.covs)
        )
        out.append(GaussianMixture(weights, means, covs))
    return out


def _is_fine(rows: Rows) -> list[bool]:
    """Where too few strata would be effective at a symbol; the source stands in for q."""
    z = rows.coordinates.forward(rows.task.draws.sample(rows.size(_STRATA)))
    rho = (z[:, :256, None] - z[:, None, :]).abs()
    out = []
    for slopes in rows.slopes.reshape(len(rows.betas), -1):
        posterior = torch.softmax(-slopes[:, None, None] * rho, 2)
        effective = (1.0 / posterior.square().sum(2)).mean(1)
        out.append(bool((effective < _MIN_EFFECTIVE).any()))
    return out


def _train(
    rows: Rows, energies: ScalarEnergies, part: tuple[int, int]
) -> tuple[ScalarEnergies, bool]:
    """Descend eq. (4); return the running mean of the energies, and whether the budget lasted."""
    config, task = rows.config, rows.task
    groups = [
        {"params": energies.reference_parameters, "lr": config.reference_rate or _REFERENCE_RATE},
        {
            "params": list(energies.network.parameters()),
            "lr": config.learning_rate or _NETWORK_RATE,
        },
    ]
    optimiser = torch.optim.Adam(groups, betas=(0.5, 0.999))
    iterations = max(1, round(config.iterations * task.monitor.effort))
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / iterations))
    average = RunningMean(energies, config.averaging)

    def step(_: int) -> bool:
        optimiser.zero_grad()
        objective(rows, energies).backward()
        optimiser.step()
        decay.step()
        average.update()
        return True

    def channels() -> list[TestChannel]:
        return [product(b, rows.parts(average.mean, i), NO_CLAIM) for i, b in enumerate(rows.betas)]

    return average.mean, iterate(task.monitor, iterations, step, channels, part=part)


def objective(rows: Rows, energies: ScalarEnergies) -> Tensor:
    """A scalar whose gradient is that of eq. (4), summed over the rows."""
    proposal = Proposal(energies.mixtures())
    value, weights = (_fine if rows.fine else _coarse)(rows, energies, proposal)
    total: Tensor = (weights.float() * value).sum()
    return total


def _coarse(
    rows: Rows, energies: ScalarEnergies, proposal: Proposal
) -> tuple[Float[Tensor, "R m"], Float[Tensor, "R m"]]:
    """E at the strata, and the weights there under p(y|x), averaged over x, less those under q."""
    x = rows.draw(rows.size(_SYMBOLS))
    y = proposal.sample(rows.size(_STRATA), rows.task.generator)
    value = energies(y.float())
    log_w = -value.detach().double() - proposal.log_prob(y)
    under_p = log_responsibilities(y, log_w, x, rows.slopes).exp()
    return value, under_p - torch.softmax(log_w, 1)


def _fine(
    rows: Rows, energies: ScalarEnergies, proposal: Proposal
) -> tuple[Float[Tensor, "R m"], Float[Tensor, "R m"]]:
    """The same with points near every symbol added."""
    x, m = rows.draw(rows.size(_FINE_SYMBOLS)), rows.size(_STRATA)
    points = candidates(proposal, x, rows.slopes, (m, _NEAR), rows.task.generator)
    near = points.near.flatten(1)
    value = energies(torch.cat([points.common, near], 1).float())
    at_common, at_near = value.detach().double().split([m, near.shape[1]], 1)
    log_w = points.log_weights(at_common, at_near.reshape(points.near.shape), x, rows.slopes)
    under_p = torch.softmax(torch.cat(log_w, 2), 2) / x.shape[1]
    under_q = torch.softmax(-at_common - points.log_g, 1)
    return value, torch.cat([under_p[..., :m].sum(1) - under_q, under_p[..., m:].flatten(1)], 1)
