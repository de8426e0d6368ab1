"""EBRD under absolute error: which of two designs the coordinates allow.

Absolute error is a sum over coordinates. Where held-out likelihood finds them independent (always
for d = 1) the energy is a sum of scalar energies, trained without chains
(`_ebrd_absolute_line`), which is far more accurate; otherwise it is one energy on R^d with a
mixture under it, trained with chains (`ebrd.absolute_chains`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.absolute_chains import fit_chains
from rdbench.estimators.ebrd.line import Coordinates, fit_product
from rdbench.estimators.ebrd.settings import Settings
from rdbench.inference.em import select_mixture
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Monitor, Refusal, TestChannel, View

_TEST = 4000  # draws on which independence is judged, and as many held out
_MARGIN = 0.02  # nats of mutual information that are taken for none
_NARROWEST = 1e-8  # least variance of a component, in standard coordinates


def fit_absolute(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """Train all slopes, and yield their channels.

    Args:
        config: the hyper-parameters.
        view: the problem, under absolute error.
        betas: positive slopes.
        generator: on ``view.device``.
        monitor: the budget.
    """
    warm = view.sample(config.warm_draws)
    if bool((warm == warm[0]).all()):
        yield from (Refusal(b, "unsupported", "the source is constant") for b in betas)
        return
    if view.dim == 1:
        coordinates: Coordinates | None = _coordinates(config, view, warm, generator, monitor)
    else:
        coordinates = _independent(config, view, warm[:_TEST], generator, monitor)
    if coordinates is not None:
        yield from fit_product(config, view, coordinates, betas, generator, monitor)
    else:
        yield from fit_chains(config, view, warm, betas, generator, monitor)


def _coordinates(
    config: Settings,
    view: View,
    x: Float[Tensor, "n d"],
    generator: Generator,
    monitor: Monitor,
) -> Coordinates:
    """A scaling and a mixture for every coordinate."""
    whole = fit_scaling(x, view.distortion).scale
    scalings, mixtures = [], []
    for column in x.split(1, dim=1):
        scaling = fit_scaling(column, view.distortion)
        if bool((column == column[0]).all()):
            scaling = Scaling(scaling.centre, whole, scaling.power)
        monitor.advance(0.0)
        found = select_mixture(scaling.forward(column), config.components, generator)
        covs = found.covs.clamp(min=_NARROWEST)
        scalings.append(scaling)
        mixtures.append(GaussianMixture(found.weights, found.means, covs))
    return Coordinates(tuple(scalings), tuple(mixtures))


def _independent(
    config: Settings,
    view: View,
    x: Float[Tensor, "n d"],
    generator: Generator,
    monitor: Monitor,
) -> Coordinates | None:
    """The coordinates if a mixture on R^d explains held-out draws no better than its margins."""
    found = _coordinates(config, view, x, generator, monitor)
    fitted, held = found.forward(x), found.forward(view.sample(_TEST))
    # Of a constant the two would compare their narrowest variances.
    varies = [i for i, z in enumerate(fitted) if bool((z != z[0]).any())]
    together = select_mixture(fitted[varies].T, config.components, generator)
    gain = together.log_prob(held[varies].T)
    for i in varies:
        gain = gain - found.mixtures[i].log_prob(held[i][:, None])
    return found if float(gain.mean()) < _MARGIN else None
