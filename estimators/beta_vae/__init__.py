"""beta-VAE: a variational upper bound on the rate-distortion function (Yang and Mandt).

With an encoder e(z|x), a latent prior p(z) and a decoder g, for every choice of the three

    F*(beta) <= F(q) <= E[ log e(Z|X) / p(Z) ] + beta E rho(X, g(Z)),    Z ~ e(.|X),

where q is the law of g(Z), Z ~ p (Yang and Mandt 2022; Alemi et al. 2018). The right side is
minimised by stochastic gradients through reparametrised draws; it is what is claimed, on held-out
draws, and the conditional p(y|x) is the encoder followed by the decoder.

``algorithm="mixture"`` (default): p(z) is a mixture of Gaussians with full covariances, so that no
direction is favoured; the encoder is a mixture too and starts at the exact posterior of a mixture
of linear-Gaussian models, fitted to draws of the source and deconvolved: for one component,
probabilistic principal components with noise 1/(2 beta) (Tipping and Bishop 1999), which is reverse
water-filling of the sample covariance. Training moves all of it, adds networks that start at
zero, and bends the prior by a flow that starts at the identity (`flow`). Where the
mixture has several components a single Gaussian is trained too. Per slope, held-out draws choose
between the starts and what was trained.
``algorithm="published"`` is the authors' model of their Gaussian experiments.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.beta_vae.encoder import ComponentEncoder
from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.estimators.beta_vae.published import FactorisedVAE, learning_rate
from rdbench.fitting import (
    NO_CLAIM,
    RunningMean,
    Task,
    check_settings,
    cosine,
    iterate,
    not_seeded,
    standardised,
)
from rdbench.inference.components import FEWEST_HELD_OUT
from rdbench.inference.em import fit_gaussian, refined, select_mixture, widened
from rdbench.inference.networks import single
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Claim,
    Encoder,
    EstimatorInfo,
    Monitor,
    Pushforward,
    RdbenchError,
    Refusal,
    TestChannel,
    View,
)

Model = MixtureVAE | FactorisedVAE

_LATE_SYMBOLS = 300  # after a stop, for the choice and for the claim
_BLOCK = 2_000_000  # numbers of one tensor held at once
# A step costs some d^2 per symbol: fewer of them where there are many dimensions.
_STEPS, _FEW_DIMENSIONS = 1000, 20


@dataclass(frozen=True)
class BetaVAE:
    """The variational upper bound; the fields are hyper-parameters."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="variational upper bound with an encoder, a latent prior and a decoder",
        citation="Yang, Mandt: Towards Empirical Sandwich Bounds on the Rate-Distortion Function, "
        "ICLR 2022",
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        slopes="positive",
        presets={
            "paper": {
                "algorithm": "published",
                "steps": 80_000,
                "batch": 64,
                "learning_rate": 5e-4,
            }
        },
        preset_notes={
            "paper": "The authors' code for their Gaussian sources, the variant without a decoder: "
            "one affine layer as encoder, independent Gaussian coordinates as prior, Adam at 5e-4, "
            "times 0.2 after 1/2, 3/4 and 7/8 of 80 x 1000 steps, batches of 64 fresh draws. Our "
            "choice: float64, the same start and data for every slope, absolute error."
        },
        not_invariant=frozenset({"shift:paper", "scale:paper", "rotation:paper"}),
        colour="#CC79A7",
        marker="D",
    )

    algorithm: Literal["mixture", "published"] = "mixture"
    """``mixture`` starts at a fitted mixture; ``published`` is the authors' model."""
    hidden: int = 64
    """Width of the networks in encoder and decoder."""
    layers: int = 2
    """Layers of the flow in the prior."""
    bins: int = 8
    """Bins of each spline of the flow; even, so that a knot lies in the middle."""
    steps: int | None = None
    """Gradient steps; None: 1,000, beyond d = 20 half of them, as a step costs some d^2."""
    batch: int = 256
    """Symbols per step."""
    learning_rate: float | None = None
    """Learning rate of networks and flow; None: 1e-2 on one Gaussian, 3e-3 on a mixture."""
    prior_rate: float = 5e-3
    """Learning rate of the mixture, from which the encoder's linear part follows."""
    averaging: float = 0.99
    """Decay of the running mean of the parameters that is returned."""
    components: int = 8
    """Largest number of prior components; held-out likelihood chooses."""
    warm_draws: int = 100_000
    """Draws to which the start is fitted."""
    selection_draws: int = not_seeded(20_000)
    """Draws, among ``warm_draws``, on which the number of components is chosen."""
    polish: int = not_seeded(4)
    """Iterations of EM on all ``warm_draws``, after the choice."""
    held_out_draws: int = not_seeded(4000)
    """Draws that choose between the starts and what was trained."""
    claim_draws: int = not_seeded(10_000)
    """Draws on which R and D are claimed."""
    floor: float = not_seeded(2e-4)
    """Smallest variance of the prior at the start, over that of the noise: a direction that reverse
    water-filling leaves out costs half of it, in nats."""

    def __post_init__(self) -> None:
        sizes = ("warm_draws", "selection_draws", "held_out_draws", "claim_draws", "polish")
        counts = ("hidden", "layers", "bins", "steps", "batch", "components", *sizes)
        rates = ("learning_rate", "prior_rate", "floor")
        check_settings("beta_vae", self, counts, rates, ("averaging",))
        if self.bins % 2:
            raise RdbenchError(f"beta_vae: bins must be even, got {self.bins}")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train all slopes as one batch, then yield their channels."""
        mixture = self.algorithm == "mixture"
        warm = self.warm_draws if mixture else 1000
        return standardised(self._fit, view, betas, generator, monitor, warm=warm, scaled=mixture)

    def _fit(self, task: Task) -> Iterator[TestChannel | Refusal]:
        slopes = torch.tensor(task.betas, dtype=torch.float64, device=task.device)
        starts: Sequence[Model]
        if self.algorithm == "published":
            starts = [FactorisedVAE(slopes, task.dim, task.generator)]
        else:
            starts = self._starts(task, slopes)
        task.monitor.count(
            parameters=sum(p.numel() for start in starts for p in start.parameters())
        )
        trained: list[Model] = []
        for i, start in enumerate(starts):
            if not task.monitor.advance(i / len(starts)):
                break
            trained.append(self._train(task, start, (i, len(starts))))
        if self.algorithm == "published":
            yield from self._chosen(task, trained or starts)
        else:
            yield from self._chosen(task, [*starts, *trained])

    def _starts(self, task: Task, slopes: Float[Tensor, " B"]) -> list[MixtureVAE]:
        """The linear-Gaussian optimum of every component of mixtures fitted to draws.

        A mixture of the size that held-out likelihood chooses and, where that is not one, a single
        Gaussian too: a mixture that fits well leaves the flow little to learn from, and what one
        Gaussian and a flow reach can be better (products of independent coordinates).
        """
        warm = task.warm
        most = min(self.components, len(warm) // (10 * task.dim))
        fits = [fit_gaussian(warm)]
        if task.go_on() and most > 1:
            choose_on = warm[: self.selection_draws]
            chosen = select_mixture(choose_on, most, task.generator, go_on=task.go_on)
            if chosen.size > 1:
                fits = [refined(chosen, warm, self.polish, go_on=task.go_on), *fits]
        if task.distortion.name == "squared_error":
            noise = 0.5 / slopes
            starts = [(fit, [self._deconvolved(fit, v) for v in noise.tolist()]) for fit in fits]
        else:
            # Absolute error has no such algebra. The Gaussian N(x, v) that is closest to a
            # posterior under a flat prior has v = pi / (2 beta^2).
            noise = 0.5 * math.pi / slopes.square()
            wide = widened(fits[0])
            starts = [(wide, [wide] * len(noise))]
        sizes = (self.hidden, self.layers, self.bins)
        return [
            MixtureVAE(fit, priors, slopes, noise, *sizes, task.generator) for fit, priors in starts
        ]

    def _deconvolved(self, fitted: GaussianMixture, noise: float) -> GaussianMixture:
        spread = float(fitted.variances.max())
        return fitted.deconvolved(noise, self.floor * min(1.0, noise / spread))

    def _train(self, task: Task, start: Model, part: tuple[int, int]) -> Model:
        """Adam on the bound, as the i-th of n trainings, ``part`` = (i, n).

        Returns the running mean of the parameters, for the published model the last ones.
        """
        model = copy.deepcopy(start)
        factor: Callable[[float], float]
        if isinstance(model, MixtureVAE):
            rate = self.learning_rate or (1e-2 if model.shift.shape[1] == 1 else 3e-3)
            groups = [
                {"params": model.prior_parameters, "lr": self.prior_rate},
                {"params": model.network_parameters, "lr": rate},
            ]
            factor, decay = cosine, self.averaging
        else:
            groups = [{"params": list(model.parameters()), "lr": self.learning_rate or 5e-4}]
            factor, decay = learning_rate, 0.0
        usual = _STEPS if task.dim <= _FEW_DIMENSIONS else _STEPS // 2
        steps = max(1, round((self.steps or usual) * task.monitor.effort))
        optimiser = torch.optim.Adam(groups)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: factor(i / steps))
        average = RunningMean(model, decay)

        def step(_: int) -> bool:
            x = task.draws.sample(self.batch)
            rate, distortion = model.bound(x, task.distortion, task.generator)
            loss = (rate.mean(1) + model.slopes * distortion.mean(1)).sum()
            if not bool(loss.isfinite()):
                return False  # what the running mean holds is still good
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update()
            return True

        def channels() -> list[TestChannel]:
            return [
                _channel(single(average.mean, i), task, NO_CLAIM) for i in range(len(task.betas))
            ]

        # Later trainings are offered only after the choice: they may be worse than the first.
        iterate(task.monitor, steps, step, None if part[0] else channels, part=part)
        return average.mean

    def _chosen(self, task: Task, models: Sequence[Model]) -> Iterator[TestChannel | Refusal]:
        """For every slope the first model, or a later one that held-out draws say is better.

        The claim comes from other draws than the choice.
        """
        held_out = task.draws.held_out(self.held_out_draws)
        claimed_on = task.draws.claim(self.claim_draws)
        picked = [0] * len(task.betas)
        if len(models) > 1:
            bounds = [self._bound(model, task, held_out)[0] for model in models]
            shortest = min(bound.shape[1] for bound in bounds)  # a stop leaves fewer symbols
            picked = [
                _best([bound[i, :shortest] for bound in bounds]) for i in range(len(task.betas))
            ]
        for i, beta in enumerate(task.betas):
            one = single(models[picked[i]], i)
            bound, rho = self._bound(one, task, claimed_on)
            total, distortion = float(bound.mean()), float(rho.mean())
            if not math.isfinite(total):
                yield Refusal(beta, "not_converged", "the bound is not finite")
                continue
            claim = Claim(total - beta * distortion, distortion, task.draws.side)
            yield _channel(one, task, claim)

    @torch.no_grad()
    def _bound(
        self, model: Model, task: Task, x: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "B m"], Float[Tensor, "B m"]]:
        """R + beta D and D of every symbol, or of the first ones after a stop."""
        if not task.monitor.advance(1.0):
            x = x[:_LATE_SYMBOLS]
        bounds, distortions = [], []
        rows = max(1, _BLOCK // (len(model.slopes) * self.components * x.shape[1]))
        for part in x.split(rows):
            rate, distortion = model.bound(part, task.distortion, task.generator)
            bounds.append(rate + model.slopes[:, None] * distortion)
            distortions.append(distortion)
            if not task.monitor.advance(1.0):
                break
        return torch.cat(bounds, 1), torch.cat(distortions, 1)


ESTIMATOR = BetaVAE


def _best(bounds: Sequence[Float[Tensor, " n"]]) -> int:
    """The first, or a later one that is lower by more than the error of the paired difference.

    Where draws are too few to tell, the first.
    """
    best = 0
    if len(bounds[0]) < FEWEST_HELD_OUT:
        return best
    for j in range(1, len(bounds)):
        difference = bounds[j] - bounds[best]
        if float(difference.mean()) < -float(difference.std()) / math.sqrt(len(difference)):
            best = j
    return best


def _channel(model: Model, task: Task, claim: Claim) -> TestChannel:
    """The channel of a frozen model of one slope."""
    if isinstance(model, MixtureVAE):
        components = ComponentEncoder(model, task.distortion)
        encoder = Encoder(components.sample, lambda z, x: components.log_prob(z.double(), x))
    else:
        encoder = Encoder(model.encode, model.encoded)

    def decode(z: Tensor) -> Tensor:
        z = z.double()
        return z + model.correction(z[None])[0]

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        return decode(encoder.sample(x, k, g).flatten(0, 1)).reshape(len(x), k, -1)

    marginal = Pushforward(decode, task.dim, model.density(), encoder)
    beta = float(model.slopes)
    return TestChannel(beta, marginal, claim, sample_conditional, conditional_kind="encoder")
