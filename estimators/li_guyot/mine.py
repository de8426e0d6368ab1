"""MINE: a lower bound of mutual information by a network (Belghazi et al. 2018).

By Donsker and Varadhan, for every function T

    I(X; Y) >= E_joint T(X, Y) - log E_product exp T(X, Y).

The product of the marginals is joint draws with y shuffled. The gradient of the logarithm has the
denominator E exp T, of which a batch gives a biased estimate: a moving average takes its place
(section 3.2 there). With N pairs the estimate hardly exceeds log N, whatever I is (McAllester and
Stratos 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.li_guyot.settings import Settings
from rdbench.fitting import RunningMean, cosine
from rdbench.inference.lemma import Lemma1
from rdbench.inference.networks import BatchedMLP, single

_SCALES = tuple(0.05 * i for i in range(21))
Pairs = Callable[[int], tuple[Float[Tensor, "B n d"], Float[Tensor, "B n d"]]]
"""``pairs(i)``: x and y of the i-th step, y drawn of p(y|x)."""


class Critic(torch.nn.Module):
    """B statistics networks T_b(x, y), one per slope, on whitened x and y.

    ``lemma`` adds the exponent -beta rho(x, y) of p(y|x) to the network (`Lemma1`).
    """

    def __init__(
        self, batch: int, dim: int, hidden: int, generator: Generator, lemma: Lemma1 | None
    ) -> None:
        super().__init__()
        self.network = BatchedMLP(batch, 2 * dim, hidden, generator)
        self.lemma = lemma

    def forward(self, x: Float[Tensor, "B n d"], y: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """T(x, y)."""
        out: Tensor = self.network(torch.cat([x, y], 2))
        return out if self.lemma is None else out - self.lemma.rho(y - x)

    def single(self, index: int) -> Critic:
        """The network of one slope, frozen, in float64."""
        found = single(self, index).double()
        if self.lemma is not None:
            weight = self.lemma.weight[index : index + 1].double()
            found.lemma = Lemma1(weight, self.lemma.power)
        return found


def trained(
    config: Settings,
    critic: Critic,
    average: RunningMean[Critic],
    pairs: Pairs,
    steps: int,
    go_on: Callable[[float], bool],
    generator: Generator,
) -> bool:
    """Adam along the gradient of the bound, all slopes at once; False where the budget ends.

    Args:
        config: learning rate and moving average.
        critic: is trained in place.
        average: of its weights, updated at every step.
        pairs: the draws of every step.
        steps: how many.
        go_on: told the fraction that is done.
        generator: shuffles.
    """
    optimiser = torch.optim.Adam(critic.parameters(), lr=config.critic_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / steps))
    denominator: Tensor | None = None  # log of the moving average of E exp T
    for i in range(steps):
        if not go_on(i / steps):
            return False
        x, y = pairs(i)
        wide = x.repeat(1, config.shuffles, 1)
        other = torch.cat([shuffled(y, generator) for _ in range(config.shuffles)], 1)
        together, apart = critic(x, y), critic(wide, other)
        newest = torch.logsumexp(apart.detach(), 1) - math.log(apart.shape[1])
        if denominator is None:
            denominator = newest
        a = config.moving_average
        # Not below the newest mean: one batch may not weigh more than one.
        denominator = torch.logaddexp(denominator + math.log1p(-a), newest + math.log(a))
        weight = (apart.detach() - torch.maximum(denominator, newest)[:, None]).exp()
        optimiser.zero_grad()
        ((weight * apart).mean(1) - together.mean(1)).sum().backward()
        optimiser.step()
        schedule.step()
        average.update()
    return True


def shuffled(y: Float[Tensor, "B n d"], generator: Generator) -> Float[Tensor, "B n d"]:
    """Every y at another place, never at its own: a random shift of a random order."""
    n = y.shape[1]
    order = torch.randperm(n, generator=generator, device=y.device)
    back = torch.argsort(order)
    return y[:, order.roll(1)[back]] if n > 1 else y


Values = tuple[Float[Tensor, " n"], Float[Tensor, " m"]]
"""T on pairs, and on the same with y shuffled."""


@torch.no_grad()
def values(
    critic: Critic,
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "n d"],
    shuffles: int,
    generator: Generator,
) -> Values:
    """T of the statistics network of one slope, at whitened pairs."""
    x, y = x[None], y[None]
    apart = torch.cat([critic(x, shuffled(y, generator)) for _ in range(shuffles)], 1)
    return critic(x, y)[0], apart[0]


def bound(found: Values, scale: float = 1.0) -> float:
    """E_joint T - log E_product exp T in nats, of ``scale`` times the network."""
    together, apart = found
    log_mean = torch.logsumexp(scale * apart, 0) - math.log(len(apart))
    return float(scale * together.mean() - log_mean)


def best_scale(found: Values) -> float:
    """The factor in [0, 1] whose bound is largest, to be used on other pairs.

    Where few pairs dominate E exp T, a network that fits one set of them is far off on another.
    """
    return max(_SCALES, key=lambda scale: bound(found, scale))
