"""The sample size that a rate needs (EBRD, section IV-B and Appendix A), by kind of estimator."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Drawing, Paper, Part

_RATES = (1.0, 2.0, 4.0, 6.0)
SIZES = (100, 1000, 10_000)
_KINDS = ("mixture_em", "blahut_arimoto[support=codebook]", "wgd", "nerd")
_LONG = ("ebrd", "beta_vae")


def _figures(drawing: Drawing) -> list[Path]:
    from rdbench.papers.sample_size.figure import draw  # here: drawing is slow to load

    return draw(drawing)


def _parts(kinds: tuple[str, ...]) -> tuple[Part, ...]:
    return tuple(
        Part(f"N={n}", f"Trained on {n:,} fixed draws", "paper", ("ramp-d10",), kinds,
             rates=_RATES, n_train=n)
        for n in SIZES
    )  # fmt: skip


PAPER = Paper(
    title="The sample size that a rate needs (Wu et al., Appendix A; Lei et al.)",
    folder=Path(__file__).parent,
    parts=_parts(_KINDS),
    stored=_parts(_LONG),
    figures=_figures,
)
