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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Generator

from rdbench.estimators.beta_vae.authors import fit_published
from rdbench.estimators.beta_vae.fitted import fit_mixture
from rdbench.estimators.beta_vae.settings import Settings
from rdbench.estimators.beta_vae.tied_fit import fit_tied
from rdbench.estimators.beta_vae.vae import fit_vae
from rdbench.fitting import standardised
from rdbench.types import EstimatorInfo, Monitor, Refusal, TestChannel, View


@dataclass(frozen=True)
class BetaVAE(Settings):
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

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train all slopes as one batch (``tied``: from the largest down), yield their channels."""
        published = self.algorithm in ("published", "published_flow")
        warm = 1000 if published else self.warm_draws
        if self.algorithm == "tied":
            betas = sorted(betas, reverse=True)
        methods = {"vae": fit_vae, "mixture": fit_mixture, "tied": fit_tied}
        method = partial(methods.get(self.algorithm, fit_published), self)
        return standardised(
            method, view, betas, generator, monitor, warm=warm, scaled=not published
        )


ESTIMATOR = BetaVAE
