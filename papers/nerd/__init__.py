"""Lei, Hassani, Saeedi Bidokhti: Neural Estimation of the Rate-Distortion Function (NERD)."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Paper, Part

_SUITE = "gaussian_spectra"
_OURS = ("nerd", "mixture_em")
_FEWER = ("nerd:paper[draws=4000]",)
"""The authors' algorithm with N = 4,000 in place of 40,000, at slopes where log N exceeds R."""
_D20 = (0.25, 1.0, 2.0, 3.0, 6.0, 10.0)
_D40 = (0.25, 1.0, 3.0, 6.0, 10.0, 20.0)
_LOW = (0.25, 1.0)

PAPER = Paper(
    title="Neural Estimation of the Rate-Distortion Function (Lei et al.)",
    folder=Path(__file__).parent,
    parts=(
        Part("d20", "Gaussian, d = 20, r = .25", _SUITE, ("nerd-d20",), _OURS, betas=_D20,
             dims=(20,)),
        Part("d40", "Gaussian, d = 40, r = .5", _SUITE, ("nerd-d40",), _OURS, betas=_D40,
             dims=(40,)),
        Part("d40", "As published, N = 4,000", _SUITE, ("nerd-d40",), _FEWER, betas=_LOW,
             dims=(40,)),
    ),
    stored=(
        Part("d20", "As published", _SUITE, ("nerd-d20",), ("nerd:paper",), betas=_D20,
             dims=(20,)),
        Part("d40", "As published", _SUITE, ("nerd-d40",), ("nerd:paper",), betas=_D40,
             dims=(40,)),
    ),
)  # fmt: skip
