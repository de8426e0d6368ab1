"""beta-VAE: a variational upper bound on the rate-distortion function (Yang and Mandt).

With an encoder e(z|x), a latent prior p(z) and a decoder g, for every choice of the three

    F*(beta) <= F(q) <= E[ log e(Z|X) / p(Z) ] + beta E rho(X, g(Z)),    Z ~ e(.|X),

where q is the law of g(Z), Z ~ p (Yang and Mandt 2022; Alemi et al. 2018). The right side is
minimised by stochastic gradients through reparametrised draws; it is what is claimed, on held-out
draws, and the conditional p(y|x) is the encoder followed by the decoder.

``algorithm="vae"`` (default): p(z) is a mixture of Gaussians with full covariances; encoder and
decoder are affine in each component, plus networks that start at zero (`model`). Nothing is fitted
beforehand: the start is N(mean, covariance) of the source, or several Gaussians drawn about it
(`neutral`). The affine part is trained first, where the bound is in closed form, for one component
and for more as long as held-out draws gain; then everything, for every slope from the size that is
best there. Held-out draws say whether the networks gained.
``algorithm="mixture"``: the same model with a flow in the prior (`flow`), from the exact posterior
of a mixture of linear-Gaussian models that EM fits to draws of the source and that is deconvolved:
for one component, probabilistic principal components with noise 1/(2 beta) (Tipping and Bishop
1999), which is reverse water-filling of the sample covariance.
``algorithm="tied"``: independent coordinates after a learned rotation, without networks (`tied`).
``algorithm="published"``, ``"published_flow"``: the authors' models (`published`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.beta_vae.channels import (
    BLOCK,
    affine_channel,
    best,
    bounds,
    network_channel,
)
from rdbench.estimators.beta_vae.descent import Plan, descend, geometric
from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.estimators.beta_vae.neutral import assumed_noise, untrained
from rdbench.estimators.beta_vae.published import (
    FactorisedVAE,
    FlowVAE,
    PublishedVAE,
    learning_rate,
    looks_gaussian,
)
from rdbench.estimators.beta_vae.tied import TiedVAE
from rdbench.fitting import (
    NO_CLAIM,
    Task,
    check_settings,
    cosine,
    not_seeded,
    standardised,
    stopped,
)
from rdbench.inference.em import fit_gaussian, refined, select_mixture, widened
from rdbench.inference.networks import single
from rdbench.inference.product import independent, principal
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Claim,
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    Start,
    TestChannel,
    View,
)

# A step costs some d^2 per symbol: fewer of them where there are many dimensions.
_FEW_DIMENSIONS = 20
_SIZES = 8, 32, 128  # of the prior, after 1
_LARGEST = 2048  # components times dimensions: what a step can afford
_INDEPENDENT = 50  # from so many dimensions on, a rotation is not found by gradients alone
_DECODED = "decoder network"
_OTHER = "the authors used this set-up for Gaussian sources, and another one for others: paper_maf"


Batched = TypeVar("Batched", MixtureVAE, PublishedVAE)


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
        variants={"algorithm=tied": {"distortions": ("squared_error",)}},
        presets={
            "mixture": {
                "algorithm": "mixture",
                "components": 8,
                "layers": 2,
                "batch": 256,
                "averaging": 0.99,
                "claim_draws": 10_000,
            },
            "tied": {"algorithm": "tied", "components": 8, "affine_steps": 1500},
            "paper": {
                "algorithm": "published",
                "steps": 80_000,
                "batch": 64,
                "learning_rate": 5e-4,
            },
            "paper_maf": {
                "algorithm": "published_flow",
                "steps": 100_000,
                "batch": 1024,
                "learning_rate": 5e-4,
                "hidden": 100,
                "layers": 3,
            },
        },
        preset_notes={
            "mixture": "A mixture fitted to draws by EM and deconvolved is the start; networks and "
            "a flow are trained from there. Where no training gains, q is that start.",
            "tied": "No networks: a learned rotation, a mixture for every coordinate, and the "
            "conjugate encoder, with which the bound is F itself. From 50 dimensions on the "
            "rotation starts at independent components (FastICA).",
            "paper": "The authors' code for their Gaussian sources, the variant without a decoder: "
            "one affine layer as encoder, independent Gaussian coordinates as prior, Adam at 5e-4, "
            "times 0.2 after 1/2, 3/4 and 7/8 of 80 x 1000 steps, batches of 64 fresh draws. For "
            "other sources they used paper_maf. Our choice: float64, the same start and data for "
            "every slope, absolute error.",
            "paper_maf": "The authors' code for their banana, d = 2: encoder and decoder 100-100 "
            "softplus, prior of 3 masked autoregressive flows (networks 10-10 softplus, circular "
            "shifts), batches of 1,024, 100 x 1000 steps, Adam at 5e-4, times 0.2 after 1/2, 3/4 "
            "and 7/8. Published with it: d = 2 alone (wider networks for physics and speech). Our "
            "choice: latent dimension d, float64, the same start and data for every slope, "
            "absolute error. --budget scales the steps.",
        },
        not_invariant=frozenset(
            f"{what}:{preset}"
            for what in ("shift", "scale", "rotation")
            for preset in ("paper", "paper_maf")
        ),
        colour="#CC79A7",
        marker="D",
    )

    algorithm: Literal["vae", "mixture", "tied", "published", "published_flow"] = "vae"
    """``vae`` starts at N(mean, covariance), ``mixture`` at a fitted mixture; ``tied`` has no
    networks; ``published`` and ``published_flow`` are the authors' models."""
    hidden: int = 64
    """Width of the networks in encoder and decoder."""
    layers: int = 0
    """Layers of the flow in the prior."""
    bins: int = 8
    """Bins of each spline of the flow; even, so that a knot lies in the middle."""
    masked: int = 10
    """Width of the masked networks of ``published_flow``."""
    steps: int | None = None
    """Gradient steps with networks; None: 400 (``mixture``: 1,000), beyond d = 20 half of them, as
    a step costs some d^2."""
    batch: int = 128
    """Symbols per step."""
    learning_rate: float | None = None
    """Learning rate of networks and flow; None: 1e-2 on one Gaussian, 3e-3 on a mixture."""
    prior_rate: float = 5e-3
    """Learning rate, with networks, of the mixture, from which the encoder's linear part
    follows."""
    affine_steps: int = 600
    """Gradient steps without networks, for each number of components; beyond d = 20 half of them.
    ``tied``: for each slope, in any dimension."""
    affine_batch: int = 256
    """Symbols per step without networks."""
    affine_rate: float = 0.2
    """Learning rate without networks, for one component; for K of them divided by K^.4."""
    averaging: float = 0.98
    """Decay of the running mean of the parameters that is returned."""
    components: int = 32
    """Largest number of prior components (``tied``: the number, of every coordinate); held-out
    draws choose. ``vae`` tries 1, 8, 32 and so on."""
    warm_draws: int = 100_000
    """Draws to which the start is fitted, or whose mean and covariance it has."""
    selection_draws: int = not_seeded(20_000)
    """Draws, among ``warm_draws``, on which ``mixture`` chooses the number of components."""
    polish: int = not_seeded(4)
    """Iterations of EM on all ``warm_draws``, after the choice."""
    held_out_draws: int = not_seeded(4000)
    """Draws that choose between numbers of components, the starts and what was trained."""
    claim_draws: int = not_seeded(4000)
    """Draws on which R and D are claimed."""
    floor: float = not_seeded(2e-4)
    """Smallest variance of the prior of ``mixture`` at the start, over that of the noise: a
    direction that reverse water-filling leaves out costs half of it, in nats."""

    def __post_init__(self) -> None:
        sizes = ("warm_draws", "selection_draws", "held_out_draws", "claim_draws", "polish")
        steps = ("steps", "affine_steps", "batch", "affine_batch")
        counts = ("hidden", "bins", "masked", "components", *steps, *sizes)
        rates = ("learning_rate", "prior_rate", "affine_rate", "floor")
        check_settings("beta_vae", self, counts, rates, ("averaging",))
        if self.bins % 2:
            raise RdbenchError(f"beta_vae: bins must be even, got {self.bins}")
        if self.layers < 0:
            raise RdbenchError(f"beta_vae: layers must be at least 0, got {self.layers}")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train all slopes as one batch (``tied``: from the largest down), yield their channels."""
        published = self.algorithm in ("published", "published_flow")
        warm = 1000 if published else self.warm_draws
        if self.algorithm == "tied":
            betas = sorted(betas, reverse=True)
        methods = {"vae": self._vae, "mixture": self._mixture, "tied": self._tied}
        method = methods.get(self.algorithm, self._published)
        return standardised(
            method, view, betas, generator, monitor, warm=warm, scaled=not published
        )

    # ----------------------------------------------------------------------------------------
    # from a neutral start

    def _vae(self, task: Task) -> Iterator[TestChannel | Refusal]:
        """The affine part for several sizes, then everything from the best of them."""
        held_out = task.draws.held_out(self.held_out_draws)
        claimed_on = task.draws.claim(self.claim_draws)
        start = self._untrained(task, 1)
        starts = [Start(affine_channel(one, task).marginal, "N(m, C)") for one in _each(start)]
        fit, moved, finished = self._affine(task, start, held_out)
        task.monitor.count(parameters=_parameters(fit))
        models = [_each(fit)]
        if finished:
            steps = self.steps or self._many(task, 400)
            trained, taken, finished = descend(
                task,
                fit,
                self._rates,
                partial(_bound, task=task),
                Plan(steps, self.batch, geometric, self.averaging),
                part=(1, 2),
                channels=lambda m: [network_channel(one, task, _DECODED) for one in _each(m)],
            )
            models += [_each(trained)] if taken else []
        for i, begun in enumerate(starts):
            pick = 0
            if len(models) > 1:
                pick = best([bounds(model[i], task, held_out)[0][0] for model in models])
            model = models[pick][i]
            channel = (
                network_channel(model, task, _DECODED) if pick else affine_channel(model, task)
            )
            if not moved:
                channel = replace(channel, marginal=begun.marginal)
            yield self._claimed(channel, model, task, claimed_on, begun, finished)

    def _untrained(self, task: Task, size: int) -> MixtureVAE:
        widths = self.hidden, self.layers, self.bins
        return untrained(task.warm, size, _slopes(task), task.distortion, widths, task.generator)

    def _affine(
        self, task: Task, start: MixtureVAE, held_out: Float[Tensor, "n d"]
    ) -> tuple[MixtureVAE, bool, bool]:
        """The best model without networks, whether it moved, and whether the budget lasted.

        Sizes are compared by the mean of their bounds over the slopes, on held-out draws; the first
        one that gains nothing is the last one tried.
        """
        most = min(self.components, len(task.warm) // (10 * task.dim), _LARGEST // task.dim)
        sizes = [1]
        for size in _SIZES:
            if sizes[-1] < most:
                sizes.append(min(size, most))
        closed = task.distortion.name == "squared_error"

        def loss(model: MixtureVAE, x: Tensor) -> Tensor:
            return model.potential(x).mean(1).sum() if closed else _bound(model, x, task)

        def channels(model: MixtureVAE) -> list[TestChannel]:
            return [affine_channel(one, task) for one in _each(model)]

        steps = self._many(task, self.affine_steps)
        plan = Plan(steps, self.affine_batch, geometric, self.averaging)
        found, scores = start, list[Tensor]()
        for i, size in enumerate(sizes):
            model, taken, finished = descend(
                task,
                start if size == 1 else self._untrained(task, size),
                partial(_of_prior, self.affine_rate / size**0.4),
                loss,
                plan,
                part=(i, 2 * len(sizes)),
                channels=None if i else channels,
            )
            if not taken:
                return found, bool(scores), False
            scores.append(self._scores(task, model, held_out, finished).mean(0))
            if len(scores) == 1 or best(scores[-2:]):
                found = model
            if not finished or found is not model:
                break
        return found, True, finished

    def _scores(
        self, task: Task, model: MixtureVAE, x: Float[Tensor, "n d"], finished: bool
    ) -> Float[Tensor, "B m"]:
        """The bound at every symbol, with networks that are zero; after a stop at few of them."""
        if task.distortion.name != "squared_error" or not finished:
            return bounds(model, task, x)[0]
        rows = max(256, BLOCK * task.dim // model.triangle.numel())
        with torch.no_grad():
            return torch.cat([model.potential(part) for part in x.split(rows)], 1)

    def _rates(self, model: MixtureVAE) -> list[tuple[list[torch.nn.Parameter], float]]:
        """Parameters with their learning rates, where there are networks."""
        rate = self.learning_rate or (1e-2 if model.shift.shape[1] == 1 else 3e-3)
        return [(model.prior_parameters, self.prior_rate), (model.network_parameters, rate)]

    def _many(self, task: Task, steps: int) -> int:
        return steps if task.dim <= _FEW_DIMENSIONS else (steps + 1) // 2

    # ----------------------------------------------------------------------------------------
    # from a fitted mixture

    def _mixture(self, task: Task) -> Iterator[TestChannel | Refusal]:
        """A training from every start; for each slope held-out draws choose among all of them."""
        starts = self._fitted(task)
        task.monitor.count(parameters=sum(_parameters(start) for start in starts))
        steps = self.steps or self._many(task, 1000)
        plan = Plan(steps, self.batch, cosine, self.averaging, (0.9, 0.999))
        trained: list[MixtureVAE] = []
        for i, start in enumerate(starts):
            part = i, len(starts)
            if not task.monitor.advance(i / len(starts)):
                break

            # Later trainings are offered only after the choice: they may be worse than the first.
            def channels(model: MixtureVAE) -> list[TestChannel]:
                return [network_channel(one, task, _DECODED) for one in _each(model)]

            offered = None if i else channels
            model, _, _ = descend(
                task,
                start,
                self._rates,
                partial(_bound, task=task),
                plan,
                part=part,
                channels=offered,
            )
            trained.append(model)
        held_out = task.draws.held_out(self.held_out_draws)
        claimed_on = task.draws.claim(self.claim_draws)
        models = [*starts, *trained]
        picked = [0] * len(task.betas)
        if len(models) > 1:
            found = [bounds(model, task, held_out, self.components)[0] for model in models]
            shortest = min(bound.shape[1] for bound in found)  # a stop leaves fewer symbols
            picked = [
                best([bound[i, :shortest] for bound in found]) for i in range(len(task.betas))
            ]
        for i, pick in enumerate(picked):
            model = single(models[pick], i)
            begun = single(starts[pick % len(starts)], i)
            channel = network_channel(model, task, _DECODED)
            marginal = channel.marginal
            if pick >= len(starts):
                marginal = network_channel(begun, task, "").marginal
            name = "fitted Gaussian" if begun.shift.shape[1] == 1 else "fitted mixture"
            yield self._claimed(channel, model, task, claimed_on, Start(marginal, name), True)

    def _fitted(self, task: Task) -> list[MixtureVAE]:
        """The linear-Gaussian optimum of every component of mixtures fitted to draws.

        A mixture of the size that held-out likelihood chooses and, where that is not one, a single
        Gaussian too: a mixture that fits well leaves the flow little to learn from, and what one
        Gaussian and a flow reach can be better (products of independent coordinates).
        """
        warm, slopes = task.warm, _slopes(task)
        most = min(self.components, len(warm) // (10 * task.dim))
        fits = [fit_gaussian(warm)]
        if task.go_on() and most > 1:
            choose_on = warm[: self.selection_draws]
            chosen = select_mixture(choose_on, most, task.generator, go_on=task.go_on)
            if chosen.size > 1:
                fits = [refined(chosen, warm, self.polish, go_on=task.go_on), *fits]
        noise = assumed_noise(slopes, task.distortion)
        if task.distortion.name == "squared_error":
            starts = [(fit, [self._deconvolved(fit, v) for v in noise.tolist()]) for fit in fits]
        else:
            wide = widened(fits[0])
            starts = [(wide, [wide] * len(noise))]
        sizes = (self.hidden, self.layers, self.bins)
        return [
            MixtureVAE(fit, priors, slopes, noise, *sizes, task.generator) for fit, priors in starts
        ]

    def _deconvolved(self, fitted: GaussianMixture, noise: float) -> GaussianMixture:
        spread = float(fitted.variances.max())
        return fitted.deconvolved(noise, self.floor * min(1.0, noise / spread))

    # ----------------------------------------------------------------------------------------
    # others

    def _tied(self, task: Task) -> Iterator[TestChannel | Refusal]:
        """From the largest slope down, each one from the last."""
        x, claimed_on = task.warm, task.draws.claim(self.claim_draws)
        searched = task.dim >= _INDEPENDENT and not looks_gaussian(x) and task.go_on()
        axes = independent(x, task.generator) if searched else principal(x)[0]
        model = start = TiedVAE(axes, x, self.components, task.generator)
        task.monitor.count(parameters=_parameters(start))
        moved, finished, count = 0, True, len(task.betas)
        plan = Plan(self.affine_steps, self.affine_batch, geometric, self.averaging)

        def channel(model: TiedVAE, beta: float) -> TestChannel:
            law = model.law(beta)
            return TestChannel(
                beta, law.density(), NO_CLAIM, law.conditional, q_is="product of mixtures, rotated"
            )

        for rung, beta in enumerate(task.betas):
            if finished:
                model, taken, finished = descend(
                    task,
                    model,
                    lambda m: m.rates(self.affine_rate / 4.0),
                    partial(TiedVAE.loss, beta=beta),
                    plan,
                    part=(rung, count),
                    channels=lambda m: [channel(m, b) for b in task.betas],
                )
                moved += taken
            begun = Start(channel(start, beta).marginal, "mixtures along axes")
            found = channel(model, beta)
            if not moved:
                found = replace(found, marginal=begun.marginal)
            claim = Claim(*model.law(beta).point(claimed_on), task.draws.side)
            found = replace(found, claim=claim, start=begun)
            yield found if finished else stopped(found)

    def _published(self, task: Task) -> Iterator[TestChannel | Refusal]:
        """The authors' models, in source coordinates."""
        slopes, sizes = _slopes(task), (self.hidden, self.layers, self.masked)
        start: PublishedVAE
        if self.algorithm == "published":
            start = FactorisedVAE(slopes, task.dim, task.generator)
            q_is = "Gaussian, independent coordinates"
            reason = "" if looks_gaussian(task.warm) else _OTHER
        else:
            start = FlowVAE(slopes, task.dim, *sizes, task.generator)
            q_is, reason = _DECODED, ""
        task.monitor.count(parameters=_parameters(start))
        rate = self.learning_rate or 5e-4
        plan = Plan(self.steps or 1000, self.batch, learning_rate, 0.0, (0.9, 0.999))
        model, taken, finished = start, 0, task.monitor.advance(0.0)
        if finished:
            model, taken, finished = descend(
                task,
                start,
                lambda m: [(list(m.parameters()), rate)],
                partial(_bound, task=task),
                plan,
                channels=lambda m: [network_channel(one, task, q_is) for one in _each(m)],
            )
        claimed_on = task.draws.claim(self.claim_draws)
        for one, first in zip(_each(model), _each(start), strict=True):
            begun = Start(network_channel(first, task, q_is).marginal, "untrained networks")
            channel = replace(network_channel(one, task, q_is), reason=reason)
            if not taken:
                channel = replace(channel, marginal=begun.marginal)
            yield self._claimed(channel, one, task, claimed_on, begun, finished)

    def _claimed(
        self,
        channel: TestChannel,
        model: MixtureVAE | PublishedVAE,
        task: Task,
        x: Float[Tensor, "n d"],
        start: Start,
        finished: bool,
    ) -> TestChannel | Refusal:
        """The channel with the bound on the symbols x as its claim, and its start."""
        bound, rho = bounds(model, task, x, self.components)
        total, distortion = float(bound.mean()), float(rho.mean())
        if not math.isfinite(total):
            return Refusal(channel.beta, "not_converged", "the bound is not finite")
        claim = Claim(total - channel.beta * distortion, distortion, task.draws.side)
        channel = replace(channel, claim=claim, start=start)
        return channel if finished else stopped(channel)


ESTIMATOR = BetaVAE


def _slopes(task: Task) -> Float[Tensor, " B"]:
    return torch.tensor(task.betas, dtype=torch.float64, device=task.device)


def _each(model: Batched) -> list[Batched]:
    """The frozen models of every slope."""
    return [single(model, i) for i in range(len(model.slopes))]


def _parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _of_prior(rate: float, model: MixtureVAE) -> list[tuple[list[torch.nn.Parameter], float]]:
    return [(model.prior_parameters, rate)]


def _bound(model: MixtureVAE | PublishedVAE, x: Float[Tensor, "n d"], task: Task) -> Tensor:
    """The loss: means of R + beta D, summed over slopes."""
    rate, distortion = model.bound(x, task.distortion, task.generator)
    return (rate.mean(1) + model.slopes * distortion.mean(1)).sum()
