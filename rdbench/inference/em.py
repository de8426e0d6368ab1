"""Fitting a Gaussian mixture to draws by expectation-maximisation (Dempster, Laird, Rubin 1977).

scikit-learn's GaussianMixture, of the same likelihood, is not used: it cannot be stopped between
two steps when a budget is spent, runs on no accelerator, and with as many starts takes longer
(``benchmarks/peers/mixtures.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.exponentials import log_sum_exp
from rdbench.inference.reproduction import GoOn, always
from rdbench.sources.mixture import LOG_2PI, GaussianMixture

_SIZES = (2, 3, 4, 6, 8, 12, 16)
_SCREEN = 4000
"""Restarts run on this many draws; only the best is polished on all of them."""
_FIRST = 3
"""Iterations of every restart."""
_ROUNDS = ((0.4, 7), (0.15, 20))
"""The part of the restarts that is carried on, and for how many iterations more."""
_LLOYD = 30
"""The most iterations of k-means before every other start."""
_FINALISTS, _TRIAL = 3, 5
"""How many are carried on with all draws, and for how many iterations, until the best is chosen."""
_SETTLED = 1e-6
"""Nats per draw that an iteration of the polish has to gain."""
_OPERATIONS = 50_000_000
"""Multiplications between two questions whether to go on."""


def fit_gaussian(x: Float[Tensor, "n d"]) -> GaussianMixture:
    """One component: the sample mean and covariance."""
    mean = x.mean(0)
    centred = x - mean
    cov = centred.T @ centred / max(len(x) - 1, 1)
    # A trace of the scale keeps the covariance regular where draws are few or degenerate.
    ridge = max(1e-9 * float(cov.trace()) / x.shape[1], 1e-300)
    cov = cov + ridge * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    return GaussianMixture(x.new_ones(1), mean[None], cov[None])


def fit_mixture(
    x: Float[Tensor, "n d"],
    size: int,
    generator: Generator,
    restarts: int = 30,
    polish: int = 25,
    *,
    go_on: GoOn = always,
) -> GaussianMixture:
    """The best of ``restarts`` short EM runs from k-means++ centres, polished on all draws.

    Fewer restarts merge modes: six were too few for eight components in ten dimensions. Most end
    after a few iterations (successive halving): what becomes a good fit is ahead by then.

    Args:
        x: draws, (n, d).
        size: the number of components.
        generator: the source of randomness.
        restarts: how many starts.
        polish: the most EM iterations of the best on all draws.
        go_on: asked between short pieces of work; on False the best so far is returned.
    """
    x = x.double()
    if size == 1:
        return fit_gaussian(x)
    screen, ridge = x[:_SCREEN], _ridge(x)
    runs: list[_Run] = []
    for place in range(restarts):
        if runs and not go_on():
            return _best(runs).mixture
        # Cells that settled find far modes; raw ones, different widths about one centre.
        start = _start(screen, size, ridge, generator, settle=_LLOYD * (place % 2))
        runs.append(_em(screen, _Run(start), ridge, _FIRST, go_on))
    for part, iterations in _ROUNDS:
        runs = _ahead(runs, round(part * restarts))
        for place, run in enumerate(runs):
            runs[place] = _em(screen, run, ridge, iterations, go_on)
            if not go_on():
                return _best(runs).mixture
    # On few draws in many dimensions the best is the one that fits them too well.
    runs = [_Run(run.components) for run in _ahead(runs, _FINALISTS)]
    for place, run in enumerate(runs):
        runs[place] = _em(x, run, ridge, min(_TRIAL, polish), go_on)
        if not go_on():
            return _best(runs).mixture
    return _em(x, _best(runs), ridge, max(polish - _TRIAL, 0), go_on, _SETTLED).mixture


def select_mixture(
    x: Float[Tensor, "n d"],
    largest: int,
    generator: Generator,
    margin: float = 0.005,
    *,
    go_on: GoOn = always,
) -> GaussianMixture:
    """The mixture whose number of components has the best held-out log likelihood.

    Two sizes in a row without a gain end the search. Sizes with fewer than ten draws per component
    and dimension are not tried.

    Args:
        x: draws, (n, d), of which a fifth is held out.
        largest: the most components.
        generator: the source of randomness.
        margin: nats per draw that a larger mixture must gain.
        go_on: asked between short pieces of work; on False the best so far is returned.
    """
    x = x.double()
    held_out, training = x[: len(x) // 5], x[len(x) // 5 :]
    chosen = fit_gaussian(training)
    score, failures = _score(chosen, held_out), 0
    affordable = min(largest, min(len(training), _SCREEN) // (10 * x.shape[1]))
    for size in (s for s in _SIZES if s <= affordable):
        if failures == 2 or not go_on():
            break
        candidate = fit_mixture(training, size, generator, restarts=4 * size, go_on=go_on)
        candidate_score = _score(candidate, held_out)
        if candidate_score > score + margin:
            chosen, score, failures = candidate, candidate_score, 0
        else:
            failures += 1
    return chosen


def refined(
    mixture: GaussianMixture,
    x: Float[Tensor, "n d"],
    iterations: int = 10,
    *,
    go_on: GoOn = always,
) -> GaussianMixture:
    """The mixture after more EM on other, or more, draws: its size may have been chosen on few.

    Args:
        mixture: the start.
        x: draws, (n, d).
        iterations: the most EM iterations.
        go_on: asked between short pieces of work; on False the mixture so far is returned.
    """
    x = x.double()
    if mixture.size == 1:
        return fit_gaussian(x)
    if not go_on():
        return mixture
    start = _Run(_Components(mixture.weights, mixture.means, mixture.covs))
    run = _em(x, start, _ridge(x), iterations, go_on)
    return mixture if run is start else run.mixture


def mixture_moments(
    mixture: GaussianMixture,
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Overall mean and covariance."""
    mean = mixture.weights @ mixture.means
    centred = mixture.means - mean
    within = (mixture.weights[:, None, None] * mixture.covs).sum(0)
    return mean, within + (mixture.weights[:, None] * centred).T @ centred


def matrix_root(covs: Float[Tensor, "*b d d"]) -> Float[Tensor, "*b d d"]:
    """A square root V diag(sqrt(values)) that also exists for singular covariances."""
    values, vectors = torch.linalg.eigh(covs)
    found: Tensor = vectors * values.clamp(min=0.0).sqrt()[..., None, :]
    return found


def widened(mixture: GaussianMixture) -> GaussianMixture:
    """The mixture with copies of its overall covariance added, from wide to nearly an atom.

    A start for a reference that must cover heavier tails than the fit and the atom near the
    median that absolute error tends to at low rates.
    """
    weights, means = mixture.weights, mixture.means
    centre = (weights[:, None] * means).sum(0)
    spread = means - centre
    outer = spread[:, :, None] * spread[:, None, :]
    overall = (weights[:, None, None] * (mixture.covs + outer)).sum(0)
    added = weights.new_tensor([0.1, 0.2, 0.1, 0.1])
    scales = weights.new_tensor([6.0, 0.1, 0.01, 1e-4])
    return GaussianMixture(
        torch.cat([weights * (1.0 - added.sum()), added]),
        torch.cat([means, centre.expand(len(scales), -1)]),
        torch.cat([mixture.covs, scales[:, None, None] * overall]),
        mixture.name,
    )


def _score(mixture: GaussianMixture, x: Tensor) -> float:
    return float(mixture.log_prob(x).mean())


def _ridge(x: Tensor) -> Tensor:
    overall = fit_gaussian(x).covs[0]
    eye = torch.eye(len(overall), dtype=x.dtype, device=x.device)
    # The second part keeps a component regular that holds fewer draws than dimensions.
    return 1e-6 * overall + 1e-9 * overall.diagonal().mean() * eye


@dataclass(frozen=True)
class _Components:
    weights: Float[Tensor, " k"]
    means: Float[Tensor, "k d"]
    covs: Float[Tensor, "k d d"]


@dataclass(frozen=True)
class _Run:
    """Components, and the mean log likelihood of those that they were made of."""

    components: _Components
    score: float = -torch.inf

    @property
    def mixture(self) -> GaussianMixture:
        own = self.components
        return GaussianMixture(own.weights, own.means, own.covs)


def _ahead(runs: list[_Run], most: int) -> list[_Run]:
    """The best, first; one at least."""
    return sorted(runs, key=lambda run: -run.score)[: max(1, most)]


def _best(runs: list[_Run]) -> _Run:
    return _ahead(runs, 1)[0]


def _start(x: Tensor, size: int, ridge: Tensor, generator: Generator, settle: int) -> _Components:
    """Those of the cells around k-means++ centres, which may ``settle`` by k-means (Lloyd)."""
    first = torch.randint(len(x), (1,), generator=generator, device=x.device)
    centres = x[first]
    nearest = (x - centres).square().sum(1)
    for _ in range(size - 1):
        weights = nearest if float(nearest.sum()) > 0 else torch.ones_like(nearest)
        pick = torch.multinomial(weights, 1, generator=generator)
        centres = torch.cat([centres, x[pick]])
        nearest = torch.minimum(nearest, (x - x[pick]).square().sum(1))
    labels = torch.cdist(x, centres).argmin(1)
    for _ in range(settle):
        counts = torch.bincount(labels, minlength=size).to(x.dtype)
        total = torch.zeros_like(centres).index_add_(0, labels, x)
        # A cell that has lost its draws keeps its centre.
        centres = torch.where(counts[:, None] > 0, total / counts.clamp(min=1.0)[:, None], centres)
        before, labels = labels, torch.cdist(x, centres).argmin(1)
        if torch.equal(before, labels):
            break
    cells = torch.nn.functional.one_hot(labels, size).to(x.dtype)
    centre = x.mean(0)
    sums = _Sums.zero(size, x.shape[1], x)
    sums.add(x - centre, cells)
    return sums.components(centre, ridge)


def _em(
    x: Tensor,
    run: _Run,
    ridge: Tensor,
    iterations: int,
    go_on: GoOn,
    least: float = -torch.inf,
) -> _Run:
    """The run after so many iterations more, or after one that gained less than ``least``."""
    for _ in range(iterations):
        improved = _iteration(x, run.components, ridge, go_on)
        if improved is None:
            break
        gained, run = improved.score - run.score, improved
        if gained < least:
            break
    return run


def _iteration(x: Tensor, at: _Components, ridge: Tensor, go_on: GoOn) -> _Run | None:
    """One E and one M step; None where ``go_on`` said no.

    Of all components at once, as products of matrices: (x - m_k) L_k^-T, and the moments under the
    responsibilities about the overall mean. Those lose no more than the ridge holds: 1e-16 of the
    overall covariance against 1e-6.
    """
    size, d = at.means.shape
    centre = x.mean(0)
    root = torch.linalg.cholesky(at.covs)
    eye = torch.eye(d, dtype=x.dtype, device=x.device)
    whiten = torch.linalg.solve_triangular(root, eye.expand_as(root), upper=False)
    towards = torch.linalg.matmul(whiten, (at.means - centre)[..., None])[..., 0]
    flat = whiten.permute(2, 0, 1).reshape(d, size * d)
    scale = at.weights.log() - root.diagonal(dim1=1, dim2=2).log().sum(1) - 0.5 * d * LOG_2PI
    sums, total = _Sums.zero(size, d, x), 0.0
    for part in x.split(max(1, _OPERATIONS // (size * d**2))):
        if not go_on():
            return None
        centred = part - centre
        z = (centred @ flat).view(-1, size, d).sub_(towards)
        joint = scale - 0.5 * torch.linalg.vecdot(z, z)
        density = log_sum_exp(joint, 1)
        total += float(density.sum())
        # At a floor far below what counts, and far above where the library's exp is slow.
        sums.add(centred, joint.sub_(density[:, None]).clamp_(min=-100.0).exp_())
    return _Run(sums.components(centre, ridge), total / len(x))


@dataclass(frozen=True)
class _Sums:
    """Moments of orders 0 to 2 under the responsibilities of every component."""

    counts: Float[Tensor, " k"]
    first: Float[Tensor, "k d"]
    second: Float[Tensor, "k d d"]

    @classmethod
    def zero(cls, size: int, d: int, like: Tensor) -> _Sums:
        return cls(like.new_zeros(size), like.new_zeros(size, d), like.new_zeros(size, d, d))

    def add(self, x: Float[Tensor, "n d"], responsibilities: Float[Tensor, "n k"]) -> None:
        n, d = x.shape
        self.counts.add_(responsibilities.sum(0))
        self.first.add_(responsibilities.T @ x)
        weighted = (responsibilities[:, :, None] * x[:, None, :]).view(n, -1)
        self.second.add_((weighted.T @ x).view(-1, d, d))

    def components(self, centre: Float[Tensor, " d"], ridge: Float[Tensor, "d d"]) -> _Components:
        counts = self.counts.clamp(min=1e-8)
        means = self.first / counts[:, None]
        covs = self.second / counts[:, None, None] - means[:, :, None] * means[:, None, :]
        return _Components(counts / counts.sum(), centre + means, covs + ridge)
