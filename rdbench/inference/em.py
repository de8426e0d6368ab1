"""Fitting a Gaussian mixture to draws by expectation-maximisation (Dempster, Laird, Rubin 1977)."""

from __future__ import annotations

from operator import itemgetter

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.reproduction import GoOn, always
from rdbench.sources.mixture import GaussianMixture

_SIZES = (2, 3, 4, 6, 8, 12, 16)
_SCREEN = 4000
"""Restarts run on this many draws; only the best is polished on all of them."""
_OPERATIONS = 200_000_000
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

    Fewer restarts merge modes: six were too few for eight components in ten dimensions.

    Args:
        x: draws, (n, d).
        size: the number of components.
        generator: the source of randomness.
        restarts: how many starts.
        polish: the EM iterations of the best on all draws.
        go_on: asked between short pieces of work; on False the best so far is returned.
    """
    x = x.double()
    if size == 1:
        return fit_gaussian(x)
    screen = x[:_SCREEN]
    ridge = _ridge(x)
    # The first restarts are short; only promising ones are carried on.
    candidates: list[tuple[float, GaussianMixture]] = []
    for _ in range(restarts):
        if candidates and not go_on():
            break
        found = _em(screen, _start(screen, size, ridge, generator), ridge, 10, go_on)
        candidates.append((_score(found, screen), found))
    candidates.sort(key=itemgetter(0), reverse=True)
    finalists: list[tuple[float, GaussianMixture]] = []
    for _, candidate in candidates[:5]:
        if not go_on():
            break
        found = _em(screen, candidate, ridge, 20, go_on)
        finalists.append((_score(found, screen), found))
    _, best = max(finalists, key=itemgetter(0)) if finalists else candidates[0]
    return _em(x, best, ridge, polish, go_on)


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
    return _em(x, mixture, _ridge(x), iterations, go_on) if go_on() else mixture


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


def _start(x: Tensor, size: int, ridge: Tensor, generator: Generator) -> GaussianMixture:
    """The mixture of the cells around k-means++ centres."""
    first = torch.randint(len(x), (1,), generator=generator, device=x.device)
    centres = x[first]
    nearest = (x - centres).square().sum(1)
    for _ in range(size - 1):
        weights = nearest if float(nearest.sum()) > 0 else torch.ones_like(nearest)
        pick = torch.multinomial(weights, 1, generator=generator)
        centres = torch.cat([centres, x[pick]])
        nearest = torch.minimum(nearest, (x - x[pick]).square().sum(1))
    labels = torch.cdist(x, centres).argmin(1)
    start = _maximise(x, torch.nn.functional.one_hot(labels, size).to(x.dtype), ridge, always)
    assert start is not None  # nothing stops it
    return start


def _em(
    x: Tensor, mixture: GaussianMixture, ridge: Tensor, iterations: int, go_on: GoOn
) -> GaussianMixture:
    for _ in range(iterations):
        responsibilities = _responsibilities(mixture, x, go_on)
        if responsibilities is None:
            break
        improved = _maximise(x, responsibilities, ridge, go_on)
        if improved is None:
            break
        mixture = improved
    return mixture


def _responsibilities(mixture: GaussianMixture, x: Tensor, go_on: GoOn) -> Tensor | None:
    """None where ``go_on`` said no."""
    rows = max(1, _OPERATIONS // (mixture.size * mixture.dim**2))
    parts = []
    for part in x.split(rows):
        if not go_on():
            return None
        parts.append(torch.softmax(mixture.log_joint(part), 1))
    return torch.cat(parts)


def _maximise(
    x: Tensor, responsibilities: Tensor, ridge: Tensor, go_on: GoOn
) -> GaussianMixture | None:
    """None where ``go_on`` said no."""
    counts = responsibilities.sum(0).clamp(min=1e-8)
    means = (responsibilities.T @ x) / counts[:, None]
    covs = []
    for k in range(len(counts)):
        if not go_on():
            return None
        centred = x - means[k]
        covs.append((centred * responsibilities[:, k, None]).T @ centred / counts[k] + ridge)
    return GaussianMixture(counts / counts.sum(), means, torch.stack(covs))
