"""What the figures of a paper are made of: cells, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """The cells of one figure, or of one half of it: cases times estimators, of one suite."""

    name: str
    """``3``, ``4a``: what the figure is called in the paper, with a letter of ours."""
    title: str
    cases: tuple[str, ...]
    estimators: tuple[str, ...]
    """Specifications as on the command line."""
    rates: tuple[float, ...] | None = None
    """Target rates in nats; None for the ladder of each case."""
    n_train: int | None = None
    """Trained on so many fixed draws; None for fresh ones."""
    draws: int = 0
    """How many draws of p(y|x) a row must have kept."""
    seeds: tuple[int, ...] | None = None
    """None for those of the recipe."""


@dataclass(frozen=True)
class Target:
    """What an estimate has to reach to be called good, on the cases of one part."""

    part: str
    gap: float
    """The most that the gap may be, in nats, at slopes from ``steep`` up ..."""
    gap_below: float
    """... and at slopes below."""
    steep: float
    mode_mass: float
    """The most that the error of the mass of a mode may be, a probability."""


@dataclass(frozen=True)
class Printed:
    """Langevin settings that a paper prints for one of its cases."""

    case: str
    steps: int
    epsilon: float


@dataclass(frozen=True)
class Recipe:
    """A paper: what it takes to draw its figures again, at which seeds, and what it says.

    ``parts`` run whenever they are missing. ``full`` are further cells, which take hours: they
    are shown where there are records of them. Cells of ``parts`` at ``more_seeds`` are such, too.
    """

    title: str
    suite: str
    parts: tuple[Part, ...]
    full: tuple[Part, ...]
    seeds: tuple[int, ...] = (0,)
    more_seeds: tuple[int, ...] = (1, 2)
    budget: str = "default"
    full_command: str = ""
    """What runs ``full`` and ``more_seeds``."""
    method: str = ""
    """The estimator of the paper as we would use it ..."""
    as_printed: str = ""
    """... as the paper prints it ..."""
    rival: str = ""
    """... and the one that the paper compares it with."""
    claimed_point: tuple[float, float] | None = None
    """A point (R, D) of the curve that the paper states, in nats."""
    settings: tuple[Printed, ...] = ()
    target: Target | None = None
