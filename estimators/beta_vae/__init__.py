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
from typing import ClassVar, Literal, cast, get_args

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.beta_vae.encoder import ComponentEncoder
from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.estimators.beta_vae.published import FactorisedVAE, learning_rate
from rdbench.inference.em import fit_gaussian, refined, select_mixture
from rdbench.inference.energies import cosine, widened
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Claim,
    Encoder,
    EstimatorInfo,
    Monitor,
    Pushforward,
    RdbenchError,
    Refusal,
    Side,
    TestChannel,
    View,
)

Algorithm = Literal["mixture", "published"]
Model = MixtureVAE | FactorisedVAE

# Smallest variance of the prior at the start, over that of the noise: a direction that reverse
# water-filling leaves out costs half of it, in nats.
_FLOOR = 2e-4
_FIT_DRAWS = 20_000  # choose the number of components
_POLISH = 4  # iterations of EM on all warm draws
_HELD_OUT = 4000  # symbols that choose between starts and trained models
_CLAIM_SYMBOLS = 10_000
_LATE_SYMBOLS = 300  # after a stop, for either
_BLOCK = 2_000_000  # numbers of one tensor held at once
_LOOK_EVERY = 20
# A step costs some d^2 per symbol: fewer of them where there are many dimensions.
_STEPS, _FEW_DIMENSIONS = 1000, 20


@dataclass(frozen=True)
class BetaVAE:
    """The variational upper bound; the fields are hyper-parameters."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="variational upper bound with an encoder, a latent prior and a decoder",
        citation="Yang, Mandt: Towards Empirical Sandwich Bounds on the Rate-Distortion Function, "
        "ICLR 2022",
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

    algorithm: Algorithm = "mixture"
    hidden: int = 64
    layers: int = 2
    """Of the flow in the prior."""
    bins: int = 8
    """Of each of its splines; even, so that a knot lies in the middle."""
    steps: int | None = None
    """None: 1,000, beyond d = 20 half of them; a step costs some d^2."""
    batch: int = 256
    learning_rate: float | None = None
    """Of the networks and the flow; None: 1e-2 on one Gaussian, 3e-3 on a mixture."""
    prior_rate: float = 5e-3
    """Of the mixture, from which the encoder's linear part follows."""
    averaging: float = 0.99
    """Decay of the running mean of the parameters that is returned."""
    components: int = 8
    """Largest number of prior components; held-out likelihood chooses."""
    warm_draws: int = 100_000
    """Draws to which the start is fitted."""

    def __post_init__(self) -> None:
        if self.algorithm not in get_args(Algorithm):
            choices = ", ".join(get_args(Algorithm))
            raise RdbenchError(f"beta_vae: algorithm is one of {choices}; got {self.algorithm}")
        counts = ("hidden", "layers", "bins", "steps", "batch", "components", "warm_draws")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RdbenchError(f"beta_vae: {name} must be at least 1")
        if self.bins % 2:
            raise RdbenchError(f"beta_vae: bins must be even, got {self.bins}")
        for name in ("learning_rate", "prior_rate"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise RdbenchError(f"beta_vae: {name} must be positive")
        if not 0.0 <= self.averaging < 1.0:
            raise RdbenchError("beta_vae: averaging must lie in [0, 1)")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train all slopes as one batch, then yield their channels."""
        known = view.distortion.name in ("squared_error", "absolute_error")
        supported = known and view.alphabet is None
        reason = "beta_vae needs beta > 0, R^d as reproduction space, squared or absolute error"
        positive = [beta for beta in betas if supported and beta > 0.0]
        for beta in betas:
            if beta not in positive:
                yield Refusal(beta, "unsupported", reason)
        if positive:
            yield from _fit(self, view, positive, generator, monitor)


@dataclass(frozen=True, eq=False)
class _Task:
    """What is trained on: data in standard coordinates, for the published model in the source's."""

    config: BetaVAE
    view: View
    scaling: Scaling
    betas: Sequence[float]
    slopes: Float[Tensor, " B"]
    """The betas in those coordinates."""
    generator: Generator
    monitor: Monitor

    def draw(self, n: int) -> Float[Tensor, "n d"]:
        """Fresh training draws."""
        return self.scaling.forward(self.view.sample(n))

    def go_on(self) -> bool:
        """Asked before the training, which has fractions to tell."""
        return self.monitor.advance(0.0)


def _fit(
    config: BetaVAE, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    published = config.algorithm == "published"
    warm = view.sample(1000 if published else config.warm_draws)
    if bool((warm == warm[0]).all()):
        yield from (Refusal(b, "unsupported", "the source is constant") for b in betas)
        return
    scaling = fit_scaling(warm, view.distortion)
    if published:
        scaling = Scaling(torch.zeros_like(scaling.centre), 1.0, scaling.power)
    slopes = torch.tensor([scaling.beta(b) for b in betas], dtype=torch.float64, device=view.device)
    task = _Task(config, view, scaling, betas, slopes, generator, monitor)
    starts: Sequence[Model]
    if published:
        starts = [FactorisedVAE(slopes, view.dim, generator)]
    else:
        starts = _linear_gaussian(task, scaling.forward(warm))
    monitor.count(parameters=sum(p.numel() for start in starts for p in start.parameters()))
    trained: list[Model] = []
    for i, start in enumerate(starts):
        if not monitor.advance(i / len(starts)):
            break
        trained.append(_train(task, start, i, len(starts)))
    yield from _chosen(task, (trained or starts) if published else [*starts, *trained])


def _chosen(task: _Task, models: Sequence[Model]) -> Iterator[TestChannel | Refusal]:
    """For every slope the first model, or a later one where held-out draws say that it is better.

    The claim comes from other draws than the choice.
    """
    select, held = task.draw(_HELD_OUT), task.draw(_CLAIM_SYMBOLS)
    picked = [0] * len(task.betas)
    if len(models) > 1:
        bounds = [_held_out(model, task, select)[0] for model in models]
        shortest = min(bound.shape[1] for bound in bounds)  # a stop leaves fewer symbols
        bounds = [bound[:, :shortest] for bound in bounds]
        picked = [_best([bound[i] for bound in bounds]) for i in range(len(task.betas))]
    for i, beta in enumerate(task.betas):
        one = models[picked[i]].single(i)
        lagrangian, spent = _held_out(one, task, held)
        total, distortion = float(lagrangian.mean()), float(spent.mean())
        if not math.isfinite(total):
            yield Refusal(beta, "not_converged", "the bound is not finite")
            continue
        # Fixed training points are also what is held out: nothing is bounded by them.
        side: Side = "upper" if task.view.n_train is None else "estimate"
        rate = total - float(task.slopes[i]) * distortion
        yield _channel(one, task, beta, Claim(rate, task.scaling.distortion(distortion), side))


def _best(bounds: Sequence[Float[Tensor, " n"]]) -> int:
    """The first, or a later one that is lower by more than the error of the paired difference."""
    best = 0
    for j in range(1, len(bounds)):
        difference = bounds[j] - bounds[best]
        if float(difference.mean()) < -float(difference.std()) / math.sqrt(len(difference)):
            best = j
    return best


def _linear_gaussian(task: _Task, warm: Float[Tensor, "n d"]) -> list[MixtureVAE]:
    """The starts: the linear-Gaussian optimum of every component of mixtures fitted to draws.

    A mixture of the size that held-out likelihood chooses and, where that is not one, a single
    Gaussian too: a mixture that fits well leaves the flow little to learn from, and what one
    Gaussian and a flow reach can be better (products of independent coordinates).
    """
    config, view = task.config, task.view
    points = len(warm) if view.n_train is None else min(view.n_train, len(warm))
    most = min(config.components, points // (10 * view.dim))
    fits = [fit_gaussian(warm)]
    if task.monitor.advance(0.0) and most > 1:
        chosen = select_mixture(warm[:_FIT_DRAWS], most, task.generator, go_on=task.go_on)
        if chosen.size > 1:
            fits = [refined(chosen, warm, _POLISH, go_on=task.go_on), *fits]
    if view.distortion.name == "squared_error":
        noise = 0.5 / task.slopes
        starts = [(fit, [_deconvolved(fit, v) for v in noise.tolist()]) for fit in fits]
    else:
        # Absolute error has no such algebra. The Gaussian N(x, v) that is closest to a posterior
        # under a flat prior has v = pi / (2 beta^2).
        noise = 0.5 * math.pi / task.slopes.square()
        wide = widened(fits[0])
        starts = [(wide, [wide] * len(noise))]
    sizes = (config.hidden, config.layers, config.bins)
    return [
        MixtureVAE(fit, priors, task.slopes, noise, *sizes, task.generator)
        for fit, priors in starts
    ]


def _deconvolved(fitted: GaussianMixture, noise: float) -> GaussianMixture:
    spread = float(fitted.variances.max())
    return fitted.deconvolved(noise, _FLOOR * min(1.0, noise / spread))


def _train(task: _Task, start: Model, index: int, count: int) -> Model:
    """Adam on the bound, as the ``index``-th of ``count`` trainings.

    Returns the running mean of the parameters, for the published model the last ones.
    """
    config, monitor = task.config, task.monitor
    published = isinstance(start, FactorisedVAE)
    model = copy.deepcopy(start)
    decay = 0.0 if published else config.averaging
    average = torch.optim.swa_utils.AveragedModel(model, avg_fn=_running_mean(decay))
    if isinstance(model, MixtureVAE):
        rate = config.learning_rate or (1e-2 if model.shift.shape[1] == 1 else 3e-3)
        groups = [
            {"params": model.prior_parameters, "lr": config.prior_rate},
            {"params": model.network_parameters, "lr": rate},
        ]
    else:
        groups = [{"params": list(model.parameters()), "lr": config.learning_rate or 5e-4}]
    optimiser = torch.optim.Adam(groups)
    usual = _STEPS if task.view.dim <= _FEW_DIMENSIONS else _STEPS // 2
    steps = max(1, round((config.steps or usual) * monitor.effort))
    factor = learning_rate if published else cosine
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: factor(i / steps))

    def channels() -> list[TestChannel]:
        claim = Claim(math.nan, math.nan, "estimate")
        now = cast(Model, average.module)
        return [_channel(now.single(i), task, b, claim) for i, b in enumerate(task.betas)]

    for step in range(steps):
        if not monitor.advance((index + step / steps) / count):
            break
        # Later trainings are offered only after the choice: they may be worse than the first.
        if index == 0 and step % _LOOK_EVERY == 0 and not monitor.checkpoint(channels):
            break
        nats, spent = model.bound(task.draw(config.batch), task.view.distortion, task.generator)
        loss = (nats.mean(1) + task.slopes * spent.mean(1)).sum()
        if not bool(loss.isfinite()):
            break  # what the running mean holds is still good
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        monitor.count(gradient_steps=1)
    return cast(Model, average.module)


def _running_mean(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    def mean(old: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        # A plain mean at first, so that the start is forgotten at once.
        return torch.lerp(old, new, max(1.0 - decay, 1.0 / (int(count) + 1)))

    return mean


@torch.no_grad()
def _held_out(
    model: Model, task: _Task, x: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, "B m"], Float[Tensor, "B m"]]:
    """The bound and the distortion of every symbol, or of the first ones after a stop."""
    if not task.monitor.advance(1.0):
        x = x[:_LATE_SYMBOLS]
    lagrangian, spent = [], []
    for part in x.split(
        max(1, _BLOCK // (len(model.slopes) * task.config.components * x.shape[1]))
    ):
        rate, rho = model.bound(part, task.view.distortion, task.generator)
        lagrangian.append(rate + model.slopes[:, None] * rho)
        spent.append(rho)
        if not task.monitor.advance(1.0):
            break
    return torch.cat(lagrangian, 1), torch.cat(spent, 1)


def _channel(model: Model, task: _Task, beta: float, claim: Claim) -> TestChannel:
    """Freeze the model of one slope. Latents live in the coordinates of the training."""
    scaling, dim = task.scaling, task.view.dim
    prior = model.density()
    if isinstance(model, MixtureVAE):
        components = ComponentEncoder(model, task.view.distortion)
        encoder = Encoder(components.sample, components.log_prob)
    else:
        encoder = Encoder(model.encode, model.encoded)

    def decode(z: Tensor) -> Tensor:
        z = z.double()
        return scaling.backward(z + model.correction(z[None])[0])

    def encode(x: Tensor, k: int, g: Generator) -> Tensor:
        return encoder.sample(scaling.forward(x), k, g)

    def encoded(z: Tensor, x: Tensor) -> Tensor:
        return encoder.log_prob(z.double(), scaling.forward(x))

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        return decode(encode(x, k, g).reshape(len(x) * k, dim)).reshape(len(x), k, dim)

    return TestChannel(
        beta=beta,
        marginal=Pushforward(decode, dim, prior, Encoder(encode, encoded)),
        claim=claim,
        sample_conditional=sample_conditional,
        conditional_kind="encoder",
    )


ESTIMATOR = BetaVAE
