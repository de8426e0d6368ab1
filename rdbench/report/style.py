"""How an estimator is named and looks in every table and figure, and how figures are made.

The framework knows no estimator: colours and markers come from the estimator's registration; who
asks for none gets the first look of the palette that nobody in the figure at hand has. The first
six colours are those of Okabe and Ito (2008), told apart by colour-blind readers; black is kept for
the truth, yellow is too pale on white. The other six are darker or duller tones; with twelve no set
is safe for every eye, so that every look has a marker of its own: no two estimators share one as
long as there are some left, no two variants of one a line style, and grey prints can be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rdbench.outcomes import RdbenchError
from rdbench.registry import LOWER, label
from rdbench.run.records import CellRecord

if TYPE_CHECKING:  # tables take names from here, and need no plotting library
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#00838F", "#A31515", "#999933", "#7F7F7F", "#663300", "#7E57C2",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "*", "X", "<", "p", ">", "h")
"""Shapes that the page knows, too."""
RESERVED = 6
"""How many looks at the head of the palette come last: they are those of the built-in estimators,
whose company may be in another picture."""
Line = Literal["-", "--", ":", "-."]
TRUTH_COLOUR = "black"
BAND_ALPHA = 0.18
"""Of the bracket around the truth."""
NOTE_COLOUR = "#555555"
START_COLOUR = "#9a9a9a"
"""Of points whose q is where the fit began."""
NOTE_SIZE = "small"
"""Of what is written within a panel, relative to the base size: five sixths of it."""

PAGE_WIDTH = 7.0
"""Inches: both columns of a paper."""
PRINT_SIZE = 8.0
"""The base size in points at that width; a sixth less is still 6.7."""
SCREEN_SIZE = 9.0
SMALL = 6.8
"""Points: the smallest text of the figures."""
FORMATS = ("pdf", "png", "svg")

# Without dates the same records give the same file.
_UNDATED: Mapping[str, Mapping[str, None]] = {
    "pdf": {"CreationDate": None},
    "png": {},
    "svg": {"Date": None},
}


@dataclass(frozen=True)
class Look:
    """The colour and marker of one estimator; None where the palette shall choose."""

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
_MORE_VARIANTS: tuple[tuple[bool, Line], ...] = (
    (True, "--"), (True, "-."), (True, ":"), (False, "-"),
)  # fmt: skip


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
        Styles by label, whatever the order of ``series``. What is registered is kept. The others
        take the free looks of the palette in order of their names: no two of up to 144 estimators
        of a figure look alike. A variant keeps its line, whatever else is drawn, unless the places
        of two clash.
    """
    given = looks or {}
    variants: dict[str, list[str]] = {}
    for name, one in sorted(set(series)):
        variants.setdefault(name, []).append(one)
    chosen = _looks({name: given.get(name, Look()) for name in variants})
    styles = {}
    for name, labels in variants.items():
        # What follows the name decides: the bare name is the filled, solid one.
        lines = _lines([one.removeprefix(name) for one in labels if one != name])
        for one in labels:
            filled, line = lines.get(one.removeprefix(name), _BARE)
            if name.endswith(LOWER):  # it has the looks of its upper estimator
                filled, line = False, "--"
            styles[one] = SeriesStyle(*chosen[name], filled, line)
    return styles


def _looks(asked: Mapping[str, Look]) -> dict[str, tuple[str, str]]:
    """The colour and marker of every name, no pair twice but where two registrations are alike.

    Of the looks that are free the first that is new in both is taken, else in one, else in neither.
    """
    order = [*range(RESERVED, len(PALETTE)), *range(RESERVED)]
    # A round later every colour meets the next marker.
    palette = [
        (PALETTE[k], MARKERS[(k + turn) % len(MARKERS)])
        for turn in range(len(MARKERS))
        for k in order
    ]
    chosen = {
        name: (look.colour, look.marker)
        for name, look in asked.items()
        if look.colour is not None and look.marker is not None
    }
    for name in sorted(set(asked) - set(chosen)):
        look = asked[name]
        taken = {(colour.upper(), marker) for colour, marker in chosen.values()}
        colours, markers = {colour for colour, _ in taken}, {marker for _, marker in taken}

        wanted = [(look.colour or colour, look.marker or marker) for colour, marker in palette]
        costs = [
            ((colour.upper(), marker) in taken, (colour.upper() in colours) + (marker in markers))
            for colour, marker in wanted
        ]
        chosen[name] = wanted[costs.index(min(costs))]
    return chosen


def _lines(rests: Sequence[str]) -> dict[str, tuple[bool, Line]]:
    """The line of every variant by what follows its estimator's name."""
    chosen: dict[str, tuple[bool, Line]] = {}
    for rest in sorted(rests):
        start = int.from_bytes(hashlib.sha256(rest.encode()).digest()[:4], "big")
        ring = [_VARIANTS[(start + step) % len(_VARIANTS)] for step in range(len(_VARIANTS))]
        free = (one for one in (*ring, *_MORE_VARIANTS) if one not in chosen.values())
        chosen[rest] = next(free, ring[0])
    return chosen


@contextmanager
def house_style(size: float = SCREEN_SIZE) -> Iterator[None]:
    """Everything drawn and saved within looks alike.

    Args:
        size: the base size of text in points; markers go with it.
    """
    import seaborn as sns  # here: it loads pyplot, and takes a second
    from matplotlib import rc_context

    ticks = {"labelsize": 0.875 * size, "major.size": 3.0, "minor.size": 1.8, "major.width": 0.7,
             "minor.width": 0.5}  # fmt: skip
    rc: Any = sns.axes_style("ticks") | {
        **{f"{axis}tick.{name}": value for axis in "xy" for name, value in ticks.items()},
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": size,
        "figure.titlesize": size + 1.5,
        "figure.titleweight": "bold",
        "figure.labelsize": size,
        "axes.titlesize": size,
        "axes.labelsize": size,
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
    with rc_context(rc):
        yield


def say(axes: Axes, text: str) -> None:
    """Words in the middle of axes that show nothing else."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=NOTE_SIZE,
        color=NOTE_COLOUR,
    )  # fmt: skip


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
