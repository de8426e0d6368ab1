"""The units of codecs: rates per symbol or per dimension, distortion as a sum, a mean or PSNR.

With d the dimension of a symbol (of an image patch, its pixels), D the summed distortion:

    bpp = bits per symbol / d,    MSE = D / d,    PSNR = 10 log10(peak^2 / MSE) in dB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.outcomes import RdbenchError

RATES = {
    "nats": "nats per symbol", "bits": "bits per symbol", "bpp": "bits per dimension",
    "nats/dim": "nats per dimension",
}  # fmt: skip
DISTORTIONS = {"sum": "summed", "mse": "mean over dimensions", "psnr": "PSNR in dB"}
_BITS = math.log(2.0)
_VALID = (
    "rate nats, bits, bpp or nats/dim and distortion sum, mse or psnr:PEAK, such as bpp,psnr:255"
)


@dataclass(frozen=True)
class Units:
    """A unit of rate (of ``RATES``) and one of distortion (of ``DISTORTIONS``).

    Args:
        rate: its name.
        distortion: its name.
        peak: the largest value of a coordinate, for ``psnr``.
    """

    rate: str = "nats"
    distortion: str = "sum"
    peak: float = 1.0

    def __str__(self) -> str:
        peak = f":{self.peak:g}" if self.distortion == "psnr" else ""
        return f"{self.rate},{self.distortion}{peak}"

    def nats(self, dim: int) -> float:
        """How many nats per symbol one unit of rate is, for symbols of ``dim`` dimensions."""
        each = dim if self.rate in ("bpp", "nats/dim") else 1
        return each * (_BITS if self.rate in ("bits", "bpp") else 1.0)

    def summed(self, distortion: Float[ndarray, " n"], dim: int) -> Float[ndarray, " n"]:
        """The summed distortion of values in this unit."""
        if self.distortion == "psnr":
            found: Float[ndarray, " n"] = dim * self.peak**2 * 10.0 ** (-0.1 * distortion)
            return found
        return distortion * (dim if self.distortion == "mse" else 1)

    def shown(self, distortion: Float[ndarray, " n"], dim: int) -> Float[ndarray, " n"]:
        """Summed distortions in this unit; PSNR of 0 is inf."""
        if self.distortion == "psnr":
            with np.errstate(divide="ignore"):
                found: Float[ndarray, " n"] = -10.0 * np.log10(distortion / (dim * self.peak**2))
            return found
        return distortion / (dim if self.distortion == "mse" else 1)

    @property
    def rate_label(self) -> str:
        """For an axis."""
        return f"rate R ({self.rate})"

    def distortion_label(self, measure: str) -> str:
        """For an axis, of a distortion measure such as ``squared_error``."""
        if self.distortion == "psnr":
            return f"PSNR (dB, peak {self.peak:g})"
        mean = "mean " if self.distortion == "mse" else ""
        return f"distortion D ({mean}{measure.replace('_', ' ')})"


NATS_SUM = Units()
"""What rdbench keeps everything in."""


def parse_units(flag: str, text: str) -> Units:
    """``bpp,psnr:255`` -> units; either part may be left out.

    Args:
        flag: where the text is from, for the complaint.
        text: what was given.

    Raises:
        RdbenchError: an unknown unit, a part given twice, or a PSNR without its peak.
    """
    rate, distortion, peak = "", "", 1.0
    for part in (one.strip().lower() for one in text.split(",")):
        name, _, tail = part.partition(":")
        if part in RATES and not rate:
            rate = part
        elif name in DISTORTIONS and not distortion and (name == "psnr" or not tail):
            distortion = name
            if name == "psnr":
                peak = _peak(flag, tail)
        else:
            raise RdbenchError(f"{flag} takes {_VALID}; got {text!r}")
    return Units(rate or "nats", distortion or "sum", peak)


def check_measure(units: Units, measure: str) -> None:
    """Refuse PSNR of a distortion measure that is no squared error.

    Raises:
        RdbenchError: it is another measure.
    """
    if units.distortion == "psnr" and measure != "squared_error":
        raise RdbenchError(f"PSNR is of squared error; the distortion measure is {measure}")


def _peak(flag: str, text: str) -> float:
    try:
        peak = float(text)
    except ValueError:
        peak = math.nan
    if not (math.isfinite(peak) and peak > 0.0):
        raise RdbenchError(
            f"{flag}: PSNR needs the largest value of a coordinate, such as psnr:1 or psnr:255"
        )
    return peak
