"""What a run found, for Python: tables, a picture, upper and lower points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rdbench import arguments
from rdbench.cli.answers import codecs_of, reply
from rdbench.cli.looks import looks_of
from rdbench.outcomes import RdbenchError
from rdbench.report.export import frame, write
from rdbench.report.points import lower_end, upper_end
from rdbench.report.style import estimator_label
from rdbench.report.upper import draw_points, is_upper, save_points
from rdbench.run.records import CellRecord, PointRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SCORED = ("ok", "not_converged")
_PICTURES = (".png", ".pdf", ".svg")
_UPPER = (
    "case", "estimator", "seed", "beta", "rate", "rate_half", "distortion", "distortion_half",
    "lagrangian", "lagrangian_hi", "side", "status",
)  # fmt: skip
_LOWER = ("case", "estimator", "seed", "beta", "lagrangian_lo", "status")


@dataclass(frozen=True, eq=False)
class Curve:
    """Audited points of R(D), in nats per symbol and in the units of the distortion measure.

    Args:
        records: the cells that were run, each an estimator on a case with its ladder of slopes.
        notes: what was read and how it is used, in sentences.
    """

    records: tuple[CellRecord, ...]
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """All that is known, a row per point: the columns of ``rdbench export``."""
        return frame(self.records)

    @property
    def upper(self) -> pd.DataFrame:
        """The audited points of channels, which lie on or above R(D).

        Columns: case, estimator, seed, beta, rate and rate_half (R and half its 95% interval),
        distortion and distortion_half, lagrangian (F = R + beta D) and lagrangian_hi (the upper end
        of its interval), side, status.
        """
        found = [
            {"lagrangian_hi": upper_end(p), **_values(r, p, _UPPER)}
            for r, p in self._points()
            if is_upper(p)
        ]
        return pd.DataFrame(found, columns=list(_UPPER))

    @property
    def lower(self) -> pd.DataFrame:
        """The lower bounds: R(D) >= lagrangian_lo - beta D; empty where no estimator gives any."""
        found = [
            {**_values(r, p, _LOWER), "lagrangian_lo": end}
            for r, p in self._points()
            if p.status in _SCORED and (end := lower_end(p)) is not None
        ]
        return pd.DataFrame(found, columns=list(_LOWER))

    def answer(
        self,
        *,
        rates: Iterable[float] | None = None,
        distortions: Iterable[float] | None = None,
        points: str | Path | None = None,
        points_units: str = "nats,sum",
        units: str = "nats",
    ) -> str:
        """R(D) from both sides, whom to trust and why, and codecs beside it: `rdbench answer`.

        Args:
            rates: where D is wanted, in nats.
            distortions: where R is wanted, summed. Neither: R where the upper bounds were audited.
            points: a CSV file of codecs, with the columns name, rate, distortion; for one case.
            points_units: of the codecs, such as ``"bpp,psnr:255"``.
            units: nats or bits, of R.

        Raises:
            RdbenchError: a wrong argument, or a codec that cannot be.
        """
        return "\n".join(
            reply(
                self.records,
                codecs_of(None if points is None else Path(points), points_units),
                rates=arguments.positive("rates", rates),
                distortions=arguments.positive("distortions", distortions),
                units=units,
            )
        )

    def plot(self, axes: Axes | None = None, *, units: str = "nats") -> Axes:
        """R against D with 95% intervals, an estimator a line.

        Args:
            axes: where to draw; new ones by default.
            units: nats or bits, of R.

        Returns:
            The axes.

        Raises:
            RdbenchError: there are several cases, or none.
        """
        self._one_case()
        if axes is None:
            import matplotlib.pyplot as plt

            _, axes = plt.subplots(layout="constrained")
        draw_points(axes, self.records, units, looks_of(self.records))
        return axes

    def save(self, path: str | Path) -> Path:
        """Write the table (.csv, .parquet) or the picture (.png, .pdf, .svg).

        Raises:
            RdbenchError: another ending, or the file cannot be written.
        """
        out = Path(path)
        ending = out.suffix.lower()
        if ending in _PICTURES:
            self._one_case()
            return save_points(self.records, out, looks=looks_of(self.records))
        if ending not in (".csv", ".parquet"):
            raise RdbenchError(f"save takes .csv, .parquet, .png, .pdf or .svg, not {out.name!r}")
        write(self.to_frame(), ending[1:], out)
        return out

    def __repr__(self) -> str:
        """The notes, and how much there is."""
        count = sum(len(record.points) for record in self.records)
        who = ", ".join(dict.fromkeys(estimator_label(record) for record in self.records))
        return "\n".join([*self.notes, f"Curve of {count} points by {who or 'nobody'}"])

    def _points(self) -> list[tuple[CellRecord, PointRecord]]:
        return [(record, point) for record in self.records for point in record.points]

    def _one_case(self) -> None:
        cases = sorted({record.case for record in self.records})
        if len(cases) != 1:
            listed = ", ".join(cases[:6]) or "none"
            raise RdbenchError(f"a picture is of one case, here are {len(cases)}: {listed}")


def _values(record: CellRecord, point: PointRecord, names: Sequence[str]) -> dict[str, object]:
    about = {
        "case": record.case, "estimator": estimator_label(record), "seed": record.seed,
    }  # fmt: skip
    return about | {n: getattr(point, n) for n in names if n not in about and hasattr(point, n)}
