"""What the reference run runs, in order: cheap suites and the suites that tell methods apart first.

Seeds 811 to 813 served for no decision. Three of them on the suites that tell methods apart, with
the estimators that take seconds to a minute; one for the others, the presets and the lower twins,
on a few cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SEEDS = (811, 812, 813)
FIRST = SEEDS[:1]
QUICK = (
    "beta_vae", "blahut_arimoto", "constrained_ba", "ebrd", "mapping", "mixture_em", "nerd",
    "shannon_lower_bound", "wgd",
)  # fmt: skip
DEAR = ("csiszar_dual", "li_guyot")
PRESETS = (
    "blahut_arimoto:structured", "ebrd:mixture", "nerd:mixture", "beta_vae:mixture",
    "wgd:product", "ebrd:product",
)  # fmt: skip
LOWER = ("mixture_em+lower", "blahut_arimoto+lower")


@dataclass(frozen=True)
class Part:
    """Some cases with some estimators; every call of ``rdbench run`` runs one part.

    Args:
        suite: its name.
        estimators: specifications, as ``--estimators`` takes them.
        seeds: of the fits.
        cases: of the suite, a pattern.
        dims: of the suite; empty for its own.
    """

    suite: str
    estimators: tuple[str, ...]
    seeds: tuple[int, ...]
    cases: str = "*"
    dims: tuple[int, ...] = ()

    def options(self) -> list[str]:
        """Of ``rdbench run``."""
        found = ["--suite", self.suite, "--estimators", ",".join(self.estimators)]
        found += ["--seeds", ",".join(map(str, self.seeds))]
        if self.cases != "*":
            found += ["--cases", self.cases]
        return found + (["--dims", ",".join(map(str, self.dims))] if self.dims else [])


@dataclass(frozen=True)
class Cases:
    """Cases that are run alike; ``telling`` ones tell methods apart and have three seeds."""

    suite: str
    cases: str = "*"
    dims: tuple[int, ...] = ()
    telling: bool = False


CASES = (
    Cases("vector_gaussian"),
    Cases("vector_gaussian", dims=(10,), telling=True),
    Cases("planar", telling=True),
    Cases("discrete"),
    Cases("scalar"),
    Cases("heavy_tailed", "t5-d1", telling=True),
    Cases("high_dimensional", dims=(6,), telling=True),
    Cases("curved", telling=True),
    Cases("heavy_tailed", "t5-d10", telling=True),
    Cases("high_dimensional", dims=(20,), telling=True),
    Cases("gaussian_spectra"),
    Cases("multimodal"),
    Cases("noisy_images", "digits*", telling=True),
    Cases("heavy_tailed", "t5-d50", telling=True),
    Cases("noisy_sphere"),
    Cases("high_dimensional", dims=(50,)),
    Cases("real_data"),
    Cases("elevation"),
    Cases("photographs"),
    Cases("mnist_rows"),
    Cases("published"),
    Cases("noisy_images", "mnist*"),  # 784 pixels: more than ten minutes a fit
)


DEAR_CASES = (
    Cases("vector_gaussian", dims=(10,)),
    Cases("planar"),
    Cases("heavy_tailed", "t5-d1"),
    Cases("high_dimensional", dims=(6,)),
    Cases("curved", "curved-d8"),
)
"""Where estimators whose fit takes minutes are run."""
PRESET_CASES = (
    Cases("vector_gaussian", dims=(10,)),
    Cases("planar"),
    Cases("high_dimensional", dims=(6, 20)),
    Cases("curved"),
)


def _each(
    cases: Sequence[Cases], estimators: tuple[str, ...], seeds: tuple[int, ...]
) -> list[Part]:
    return [Part(one.suite, estimators, seeds, one.cases, one.dims) for one in cases]


def parts() -> list[Part]:
    """The plan: first every case with the quick estimators, then what takes longer."""
    telling = [one for one in CASES if one.telling]
    return [
        *_each(CASES, QUICK, FIRST),
        *_each(telling, QUICK, SEEDS),
        *_each(DEAR_CASES, DEAR, FIRST),
        *_each(PRESET_CASES, PRESETS + LOWER, FIRST),
    ]


def wished() -> list[Part]:
    """What a run without a limit of hours would be: all on all cases, three seeds where telling."""
    telling = [one for one in CASES if one.telling]
    every = QUICK + DEAR + PRESETS + LOWER
    return [*_each(CASES, every, FIRST), *_each(telling, every, SEEDS)]
