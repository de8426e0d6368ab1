"""The published numbers of a paper as data, and the table of what its own computations found.

``published.toml`` holds one ``[[number]]`` for every number or statement of a paper that can be
held against ours: see `Number`. What cannot be compared at all is a ``[[reference]]``, with the
reason: see `Elsewhere`.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from rdbench.report.units import nats_per
from rdbench.reproduce.printed import Printed
from rdbench.types import RdbenchError

Quantity = Literal[
    "gap", "gap_paper_protocol", "lagrangian", "rate", "distortion", "conditional_error",
    "mode_mass_error", "slope", "order",
]  # fmt: skip
IN_UNITS = ("gap", "gap_paper_protocol", "lagrangian", "rate")
"""What is a number of nats, or of bits."""
NOT_PRINTED = "not printed"


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published number, or a statement read as one, about some cases and estimators.

    It is ``value`` plus or minus ``within``, or ``at_most``, or ``at_least``, or the Lagrangian of
    the point ``printed``, plus or minus ``within`` nats. It holds where ``beta`` (a slope), the
    slope of ``printed``, ``rates`` (a range of true rates, in nats) or ``distortion`` says; without
    any of them at every slope of the part. A rate at a ``distortion`` lies on the convex curve
    through the points of the estimator, between its tangents and its chords. Without a ``part`` it
    is held against the table of the paper's own computations.
    """

    where: str
    """``Figure 2``, ``Table 1``, ``section IV-B``, ``equation (5)``, with the page."""
    says: str
    """The paper's words."""
    read: str
    """How the number was read: printed, off a curve, or our reading of a word."""
    cases: list[str]
    estimators: list[str]
    """Labels as on the command line; ``truth`` is the true curve."""
    quantity: Quantity
    """``gap`` is F(q) - F*; ``gap_paper_protocol`` the same by the plug-in of N draws of q;
    ``slope`` and ``order`` are found by computations alone."""
    part: str = ""
    value: float | None = None
    printed: Printed | None = None
    """A point of a curve in the paper's units."""
    no_worse: bool = False
    """What is published is an upper bound: ours agrees where it is no larger."""
    unprinted: str = ""
    """Why there is no number to hold ours against; nothing else is given then."""
    within: float = 0.0
    at_most: float | None = None
    at_least: float | None = None
    unit: Literal["nats", "bits", ""] = ""
    beta: float | None = None
    rates: tuple[float, float] | None = None
    distortion: float | None = None
    not_if: str = ""
    """A point whose reason begins so answers another question, and decides nothing."""
    cost: str = NOT_PRINTED
    """Time and machine, as printed."""

    @property
    def slope(self) -> float | None:
        """The slope at which it stands, in nats per unit of summed distortion."""
        return self.beta if self.printed is None else self.printed.point().beta

    @property
    def stated(self) -> Ends:
        """The interval that the paper states, in nats where the quantity has a unit."""
        scale = nats_per(self.unit) if self.unit else 1.0
        value = None if self.value is None else self.value * scale
        within = self.within * scale
        if self.printed is not None:
            value, within = self.printed.point().lagrangian, self.within
        if value is not None:
            return Ends(value - within, value + within)
        lo = -math.inf if self.at_least is None else self.at_least * scale
        return Ends(lo, math.inf if self.at_most is None else self.at_most * scale)

    @property
    def ends(self) -> Ends:
        """The interval that ours has to lie in."""
        return Ends(-math.inf, self.stated.hi) if self.no_worse else self.stated


class Elsewhere(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a paper shows and nobody can compare here, with the reason."""

    where: str
    problem: str
    says: str
    """Its numbers, or that it prints none."""
    why: str
    cost: str = NOT_PRINTED


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of the published numbers."""

    number: list[Number] = []
    reference: list[Elsewhere] = []


class Ends(NamedTuple):
    """An interval; an end that is not known is infinite."""

    lo: float
    hi: float


def read(path: Path) -> list[Number]:
    """The published numbers of a paper; none where there is no file.

    Raises:
        RdbenchError: the file is not what it should be.
    """
    return _load(path).number


def read_elsewhere(path: Path) -> list[Elsewhere]:
    """What the paper shows and nobody can compare here; none where there is no file.

    Raises:
        RdbenchError: the file is not what it should be.
    """
    return _load(path).reference


def _load(path: Path) -> Published:
    """The whole file.

    Raises:
        RdbenchError: the file is not what it should be.
    """
    if not path.is_file():
        return Published()
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=Published)
    except msgspec.MsgspecError as problem:
        raise RdbenchError(f"{path}: {problem}") from problem
    for one in found.number:
        fault = _fault(one)
        if fault:
            raise RdbenchError(f"{path}: {one.where}: {fault}")
    return found


def _fault(one: Number) -> str:
    """What is wrong with a number; empty where nothing is."""
    point = None if one.printed is None else one.printed.point()
    if one.printed is not None and one.quantity != "lagrangian":
        return "a printed point is compared as a lagrangian"
    if point is not None and point.lagrangian is None:
        return "a printed point needs a lagrangian, or a rate and a distortion"
    stated = any(value is not None for value in (one.value, one.at_most, one.at_least, point))
    if stated and one.unprinted:
        return "give a number, or unprinted, not both"
    if not stated and not one.unprinted:
        return "give value, at_most or at_least, a printed point, or say why it is unprinted"
    if one.no_worse and one.value is None and point is None:
        return "no_worse needs a value or a printed point"
    return ""


def read_computed(path: Path) -> dict[tuple[str, str, str], tuple[Ends, str]]:
    """The numbers that a paper's own computations found, by case, way and quantity.

    The table has the columns case, by, quantity, lo, hi and note.

    Raises:
        RdbenchError: the file is not such a table.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {
                (row["case"], row["by"], row["quantity"]): (
                    Ends(float(row["lo"]), float(row["hi"])), row["note"]
                )
                for row in csv.DictReader(file)
            }  # fmt: skip
    except (KeyError, ValueError, TypeError) as problem:
        raise RdbenchError(f"{path}: not a table of case, by, quantity, lo, hi, note") from problem
