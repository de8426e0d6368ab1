"""Operational points of codecs, from a file of comma-separated values."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rdbench.codecs.units import NATS_SUM, Units, parse_units
from rdbench.outcomes import RdbenchError

COLUMNS = ("name", "rate", "distortion")
UNIT_COLUMNS = ("rate_unit", "distortion_unit")
_LONGEST = 60
"""Characters of a name, which has to fit a legend."""
_MOST_DB = 500.0


@dataclass(frozen=True)
class CodecPoint:
    """What a codec spends and what it loses, as it was given: points of one name are a curve.

    Args:
        name: of the codec.
        rate: in the unit of ``units``.
        distortion: likewise.
        units: of both.
    """

    name: str
    rate: float
    distortion: float
    units: Units = NATS_SUM

    def nats(self, dim: int) -> float:
        """The rate in nats per symbol of ``dim`` dimensions."""
        return self.rate * self.units.nats(dim)

    def summed(self, dim: int) -> float:
        """The distortion, summed over dimensions."""
        return float(self.units.summed(np.array([self.distortion]), dim)[0])


def read_points(path: Path, units: Units | None = None) -> tuple[CodecPoint, ...]:
    """The points of a file with the columns name, rate, distortion.

    Further columns ``rate_unit`` and ``distortion_unit`` may say the units of every row; others
    are left alone.

    Args:
        path: the file.
        units: of the rows that do not say; None: nats per symbol, distortion summed.

    Raises:
        RdbenchError: no such file, a column that is missing, or a value that cannot be: one line
            that names the line of the file.
    """
    try:
        # utf-8-sig: spreadsheets put a mark at the head.
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise RdbenchError(f"cannot read the points {path}: {reason}") from problem
    if not lines:
        raise RdbenchError(f"{path} is empty; it needs the columns {', '.join(COLUMNS)}")
    head = [name.strip().lower() for name in lines[0]]
    if len(head) == 1 and any(one in head[0] for one in ";\t"):
        raise RdbenchError(
            f"{path} separates values by {';' if ';' in head[0] else 'tabs'}: save "
            "it with commas, and decimal points"
        )
    twice = [name for name in (*COLUMNS, *UNIT_COLUMNS) if head.count(name) > 1]
    if twice:
        raise RdbenchError(f"{path} has {head.count(twice[0])} columns {twice[0]}")
    missing = [name for name in COLUMNS if name not in head]
    if missing:
        raise RdbenchError(
            f"{path} has no column {missing[0]}; it needs {', '.join(COLUMNS)} "
            f"(and may have {', '.join(UNIT_COLUMNS)})"
        )
    points = []
    for number, cells in enumerate(lines[1:], start=2):
        if any(cell.strip() for cell in cells[len(head) :]):
            raise RdbenchError(
                f"{path}, line {number} has {len(cells)} values for {len(head)} columns (a decimal "
                "comma?)"
            )
        if any(cell.strip() for cell in cells):
            row = dict(zip(head, (cell.strip() for cell in cells), strict=False))
            points.append(_point(f"{path}, line {number}", row, units or NATS_SUM))
    if not points:
        raise RdbenchError(f"{path} has no points below its head")
    return tuple(points)


def curves(points: tuple[CodecPoint, ...]) -> dict[str, list[CodecPoint]]:
    """The points of every name, in the order of the file."""
    found: dict[str, list[CodecPoint]] = {}
    for point in points:
        found.setdefault(point.name, []).append(point)
    return found


def _point(where: str, row: dict[str, str], usual: Units) -> CodecPoint:
    said = [row[name] for name in UNIT_COLUMNS if row.get(name)]
    units = usual
    if said:
        own = parse_units(where, ",".join(said))
        units = Units(
            own.rate if row.get("rate_unit") else usual.rate,
            own.distortion if row.get("distortion_unit") else usual.distortion,
            own.peak if row.get("distortion_unit") else usual.peak,
        )
    rate = _number(where, "rate", row.get("rate", ""))
    distortion = _number(where, "distortion", row.get("distortion", ""))
    name = row["name"] or "codec"
    if len(name) > _LONGEST:
        raise RdbenchError(f"{where}: a name has at most {_LONGEST} characters, not {len(name)}")
    if rate < 0.0:
        raise RdbenchError(f"{where}: a rate is not negative, got {rate:g}")
    if distortion < 0.0 and units.distortion != "psnr":
        raise RdbenchError(f"{where}: a distortion is not negative, got {distortion:g}")
    if units.distortion == "psnr" and abs(distortion) > _MOST_DB:
        raise RdbenchError(
            f"{where}: a PSNR of {distortion:g} dB is none; where nothing is lost, give the "
            "distortion 0 as mse or sum"
        )
    return CodecPoint(name, rate, distortion, units)


def _number(where: str, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        lossless = "; where nothing is lost, give the distortion 0 as mse or sum"
        more = lossless if column == "distortion" and value == math.inf else ""
        raise RdbenchError(f"{where}: {column} is no finite number, got {text!r}{more}")
    return value
