"""A paper as data, and the folder in which papers are found by name.

A paper is a folder ``papers/NAME``: ``__init__.py`` holds a constant ``PAPER``, ``published.toml``
the published numbers (see `rdbench.reproduce.published`), ``data/computed.csv`` numbers of ours
that no cell answers, ``findings.md`` what a person makes of the outcome. Only the first of them is
needed.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rdbench import registry
from rdbench.run.records import CellRecord
from rdbench.types import RdbenchError

if TYPE_CHECKING:
    from rdbench.report.series import Sources
    from rdbench.report.style import Look

PACKAGE = "rdbench.papers"


@dataclass(frozen=True)
class Part:
    """The cells of one figure or table, or of a part of it: cases times estimators of a suite."""

    name: str
    """``3``, ``4a``: the figure's number in the paper, with a letter of ours."""
    title: str
    suite: str
    cases: tuple[str, ...]
    estimators: tuple[str, ...]
    """Specifications as on the command line."""
    rates: tuple[float, ...] | None = None
    """Target rates in nats; None for the ladder of each case."""
    betas: tuple[float, ...] | None = None
    """Slopes, nats per unit of summed distortion, in place of rates."""
    dims: tuple[int, ...] | None = None
    """Dimensions, of a suite that takes any; None for its own."""
    budget: str | None = None
    """None for that of the paper."""
    n_train: int | None = None
    """The size of a fixed training set; None for fresh draws."""
    draws: int = 0
    """How many draws of p(y|x) each record has to keep, for pictures."""
    seeds: tuple[int, ...] | None = None
    """None for those of the paper."""


@dataclass(frozen=True)
class Found:
    """The records that answer one part of a paper."""

    part: Part
    records: tuple[CellRecord, ...]
    """Those at hand, in the order of the part."""
    missing: tuple[str, ...] = ()
    """The titles of cells without a record."""
    stale: tuple[str, ...] = ()
    """The titles of cells answered by a record of earlier code, each with its commit."""


@dataclass(frozen=True)
class Drawing:
    """All that a paper's own figures are made of."""

    found: Sequence[Found]
    out: Path
    looks: Mapping[str, Look]
    """Colours and markers that estimators ask for, by name."""
    units: str
    """``nats`` or ``bits``."""
    sources: Sources | None = None
    """Where the truth between the points of the records is known."""


@dataclass(frozen=True)
class Paper:
    """A paper: its cells, its files, its figures.

    ``parts`` are run where they are missing. ``stored`` are further cells, which take hours, and
    so are the cells of ``parts`` at ``more_seeds``: with ``--full`` both are shown where there are
    records of them, and only ``--run-all`` runs them.
    """

    title: str
    folder: Path
    """Where its other files lie."""
    parts: tuple[Part, ...]
    stored: tuple[Part, ...] = ()
    seeds: tuple[int, ...] = (0,)
    more_seeds: tuple[int, ...] = ()
    budget: str = "default"
    figures: Callable[[Drawing], list[Path]] | None = None
    """Draws everything and returns the files; None: a figure of curves for every part."""

    @property
    def published(self) -> Path:
        """The file of the published numbers."""
        return self.folder / "published.toml"

    @property
    def computed(self) -> Path:
        """The table of the numbers that a computation of the paper's own found."""
        return self.folder / "data" / "computed.csv"

    @property
    def prose(self) -> str:
        """The text written by hand; empty where there is none."""
        path = self.folder / "findings.md"
        return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def names() -> list[str]:
    """The papers at hand, by their folders, sorted."""
    folders = importlib.import_module(PACKAGE).__path__
    return sorted(module.name for module in pkgutil.iter_modules(folders) if module.ispkg)


def load(name: str) -> Paper:
    """Import one paper.

    Raises:
        RdbenchError: there is none of that name, or its folder has no constant ``PAPER``.
    """
    if name not in names():
        raise registry.unknown("paper", name, [*names(), "all"])
    paper = getattr(importlib.import_module(f"{PACKAGE}.{name}"), "PAPER", None)
    if not isinstance(paper, Paper):
        raise RdbenchError(f"{PACKAGE}.{name} has no constant PAPER, a rdbench.reproduce.Paper")
    return paper
