"""What a figure of a paper is made of: cells, as data."""

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


@dataclass(frozen=True)
class Recipe:
    """A paper: what it takes to draw its figures again, and at which seeds.

    ``parts`` run whenever they are missing. ``full`` are further cells, which take hours: they
    are shown where there are records of them. Cells of ``parts`` at ``more_seeds`` are such, too.
    """

    title: str
    suite: str
    parts: tuple[Part, ...]
    full: tuple[Part, ...]
    seeds: tuple[int, ...] = (0,)
    more_seeds: tuple[int, ...] = (1, 2)
