"""How an estimator is named and looks, in every table and figure.

The framework knows no estimator: colours and markers come from the estimator's registration, and
from a stable hash of its name where it gives none. The colours are those of Okabe and Ito (2008),
told apart by colour-blind readers; black is kept for the truth, yellow is too pale on white.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from rdbench.registry import label
from rdbench.run.records import CellRecord

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
Line = Literal["-", "--", ":", "-."]
TRUTH_COLOUR = "black"
NOTE_COLOUR = "#555555"


@dataclass(frozen=True)
class Look:
    """The colour and marker of one estimator; None where the hash shall choose."""

    colour: str | None = None
    marker: str | None = None


@dataclass(frozen=True)
class SeriesStyle:
    """How one series is drawn: variants of an estimator share its colour and marker."""

    colour: str
    marker: str
    filled: bool = True
    line: Line = "-"


_VARIANTS: tuple[tuple[bool, Line], ...] = ((True, "-"), (False, "--"), (False, ":"), (False, "-."))


def estimator_label(record: CellRecord) -> str:
    """``name:preset[key=value,...]``, the way it is written on the command line."""
    return label(record.estimator, record.preset, record.params)


def series_styles(
    series: Iterable[tuple[str, str]], looks: Mapping[str, Look] | None = None
) -> dict[str, SeriesStyle]:
    """A style for every series.

    Args:
        series: pairs (estimator name, series label), one or more labels per name.
        looks: what the registrations ask for, by estimator name.

    Returns:
        Styles by label. They do not depend on the order of ``series``; an estimator keeps its
        colour whatever else is drawn, unless the hashes of two names clash.
    """
    given = looks or {}
    variants: dict[str, list[str]] = {}
    for name, one in sorted(set(series)):
        variants.setdefault(name, []).append(one)
    asked = {name: given.get(name, Look()) for name in variants}
    colours = _assign({name: look.colour for name, look in asked.items()}, PALETTE)
    markers = _assign({name: look.marker for name, look in asked.items()}, MARKERS)
    styles = {}
    for name, labels in variants.items():
        # The plain name comes first in sorted order, so it is the filled, solid one.
        for index, one in enumerate(labels):
            filled, line = _VARIANTS[min(index, len(_VARIANTS) - 1)]
            styles[one] = SeriesStyle(colours[name], markers[name], filled, line)
    return styles


def _assign(wanted: Mapping[str, str | None], choices: tuple[str, ...]) -> dict[str, str]:
    """What each name asks for, else its hashed choice, else the next one that is free."""
    chosen = {name: value for name, value in wanted.items() if value is not None}
    taken = {value.upper() for value in chosen.values()}
    for name in sorted(set(wanted) - set(chosen)):
        start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        ring = [choices[(start + step) % len(choices)] for step in range(len(choices))]
        chosen[name] = next((value for value in ring if value.upper() not in taken), ring[0])
        taken.add(chosen[name].upper())
    return chosen
