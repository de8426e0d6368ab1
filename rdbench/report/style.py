"""How an estimator is named and looks in every table and figure, and how figures are made.

The framework knows no estimator: colours and markers come from the estimator's registration, and
from a stable hash of its name where it gives none. The colours are those of Okabe and Ito (2008),
told apart by colour-blind readers; black is kept for the truth, yellow is too pale on white. No
two estimators share a marker, no two variants of one a line style, so that grey prints can be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rdbench.registry import label
from rdbench.run.records import CellRecord
from rdbench.types import RdbenchError

if TYPE_CHECKING:  # tables take names from here, and need no plotting library
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
Line = Literal["-", "--", ":", "-."]
TRUTH_COLOUR = "black"
BAND_ALPHA = 0.18
"""Of the bracket around the truth."""
NOTE_COLOUR = "#555555"
NOTE_SIZE = "small"
"""Of what is written within a panel, relative to the base size: five sixths of it."""

PAGE_WIDTH = 7.0
"""Inches: both columns of a paper."""
PRINT_SIZE = 8.0
"""The base size in points at that width; a sixth less is still 6.7."""
SCREEN_SIZE = 9.0
FORMATS = ("pdf", "png", "svg")

# Without dates the same records give the same file.
_UNDATED: Mapping[str, Mapping[str, None]] = {
    "pdf": {"CreationDate": None},
    "png": {},
    "svg": {"Date": None},
}


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

    @property
    def face(self) -> str:
        """The inside of the marker."""
        return self.colour if self.filled else "white"


_BARE: tuple[bool, Line] = (True, "-")
_VARIANTS: tuple[tuple[bool, Line], ...] = ((False, ":"), (False, "-."), (False, "--"))


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
        colour, and a variant its line, whatever else is drawn, unless the hashes of two clash.
    """
    given = looks or {}
    variants: dict[str, list[str]] = {}
    for name, one in sorted(set(series)):
        variants.setdefault(name, []).append(one)
    asked = {name: given.get(name, Look()) for name in variants}
    colours = _assign({name: look.colour for name, look in asked.items()}, PALETTE)
    markers = _assign({name: look.marker for name, look in asked.items()}, MARKERS)
    indices = tuple(map(str, range(len(_VARIANTS))))
    styles = {}
    for name, labels in variants.items():
        # What follows the name decides: the bare name is the filled, solid one.
        lines = _assign({one.removeprefix(name): None for one in labels if one != name}, indices)
        for one in labels:
            index = lines.get(one.removeprefix(name))
            filled, line = _BARE if index is None else _VARIANTS[int(index)]
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


@contextmanager
def house_style(size: float = SCREEN_SIZE) -> Iterator[None]:
    """Everything drawn and saved within looks alike.

    Args:
        size: the base size of text in points; markers go with it.
    """
    from matplotlib import rc_context

    rc: Any = rc_parameters(size)
    with rc_context(rc):
        yield


def rc_parameters(size: float = SCREEN_SIZE) -> dict[str, Any]:
    """The settings behind ``house_style``."""
    import seaborn as sns  # here: it loads pyplot, and takes a second

    return sns.axes_style("ticks") | {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": size,
        "figure.titlesize": size + 1.5,
        "figure.titleweight": "bold",
        "figure.labelsize": size,
        "axes.titlesize": size,
        "axes.labelsize": size,
        "xtick.labelsize": 0.875 * size,
        "ytick.labelsize": 0.875 * size,
        "xtick.major.size": 3.0,
        "ytick.major.size": 3.0,
        "xtick.minor.size": 1.8,
        "ytick.minor.size": 1.8,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.minor.width": 0.5,
        "ytick.minor.width": 0.5,
        "legend.fontsize": 0.9 * size,
        "legend.frameon": False,
        "lines.markersize": 0.5 * size,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.unicode_minus": False,
        # Labels are literal: a "$" in a parameter starts no formula.
        "text.parse_math": False,
        "svg.hashsalt": "rdbench",
        "svg.fonttype": "none",
        # TrueType, which publishers take; the default Type 3 many refuse.
        "pdf.fonttype": 42,
        "savefig.dpi": 150 if size >= SCREEN_SIZE else 220,
    }


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches, free of pyplot and its global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, out: Path, stem: str, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a figure; call it within ``house_style``. Equal figures give equal bytes.

    Args:
        figure: what to write.
        out: the folder; it is made if need be.
        stem: the name of the files without its ending.
        formats: out of ``FORMATS``.

    Returns:
        The files, in the order of ``formats``.

    Raises:
        RdbenchError: the folder cannot be written.
    """
    paths = [out / f"{stem}.{ending}" for ending in formats]
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Laid out once: the formats agree, and the layout takes longer than they do.
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
        for path, ending in zip(paths, formats, strict=True):
            figure.savefig(path, metadata=dict(_UNDATED[ending]))
    except OSError as error:
        raise RdbenchError(f"cannot write to {out}: {error.strerror or error}") from error
    return paths
