"""Wu, Xu, Chen, Wu, Zhang: Estimating Rate-Distortion Functions Using the Energy-Based Model."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Drawing, Paper, Part

_SUITE = "paper"
_SCALARS = ("gaussian", "laplacian-absolute")
_VECTORS = ("ramp-d2", "ramp-d5", "ramp-d10")
_MIXTURE = ("mixture-d2",)
_ALL = (*_SCALARS, *_VECTORS, *_MIXTURE)
_OURS = ("ebrd", "blahut_arimoto", "nerd", "beta_vae", "wgd")
_PRINTED = ("ebrd:paper",)
_TIMESTEP = ("ebrd:paper_timestep",)
"""On N(0, 1) and, where its chains do not start from the answer, on N(3, 2^2)."""
_FIXED_SET = 5000
_FIGURE_5_RATES = (0.5833, 1.3, 3.4, 5.96)
_TWO_RUNGS = {
    "gaussian": (1.0, 3.0),
    "laplacian-absolute": (1.0, 3.0),
    "ramp-d2": (1.223, 4.278),
    "ramp-d5": (0.8743, 5.719),
    "ramp-d10": (0.8974, 5.189),
    "mixture-d2": (1.05, 4.7),
}
"""Rates of the ladders near 1 and 5 nats, for settings that take many CPU minutes per slope."""
_SETTINGS = ("side-by-side", "Published settings and ours", _SUITE)


def _figures(drawing: Drawing) -> list[Path]:
    from rdbench.papers.ebrd.figures import draw  # here: drawing is slow to load

    return draw(drawing)


PAPER = Paper(
    title="Estimating Rate-Distortion Functions Using the Energy-Based Model (Wu et al.)",
    folder=Path(__file__).parent,
    parts=(
        Part("2", "Scalar sources", _SUITE, _SCALARS, _OURS),
        Part("3", "Vector Gaussian sources", _SUITE, _VECTORS, _OURS),
        Part("4a", "Mixture, trained on fresh samples", _SUITE, _MIXTURE, _OURS),
        Part("4b", "Mixture, trained on 5,000 points", _SUITE, _MIXTURE, _OURS, n_train=_FIXED_SET),
        Part(
            "5", "Conditional samples", _SUITE, _MIXTURE, _OURS, rates=_FIGURE_5_RATES, draws=400
        ),
    ),
    stored=(
        Part(*_SETTINGS, _ALL, _PRINTED, seeds=(0, 1, 2)),
        Part(*_SETTINGS, _SCALARS, _TIMESTEP, seeds=(0, 1, 2)),
        Part(_SETTINGS[0], _SETTINGS[1], "scalar", ("gaussian-shifted",),
             ("ebrd", *_PRINTED, *_TIMESTEP), seeds=(0, 1, 2)),
        Part(*_SETTINGS, _ALL, ("ebrd:mixture", "blahut_arimoto:paper")),
        Part("4b", "Mixture, as printed", _SUITE, _MIXTURE, _PRINTED, n_train=_FIXED_SET),
        Part("5", "Mixture, as printed", _SUITE, _MIXTURE, _PRINTED, rates=_FIGURE_5_RATES,
             draws=400),
        *(
            Part(*_SETTINGS, (case,), (spec,), rates=rates)
            for spec in ("beta_vae:paper", "nerd:paper", "wgd:paper")  # in order of cost
            for case, rates in _TWO_RUNGS.items()
        ),
    ),
    more_seeds=(1, 2),
    figures=_figures,
)  # fmt: skip
"""Figure 6 is drawn from the cells of Figure 5."""
