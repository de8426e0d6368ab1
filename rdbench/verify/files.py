"""The file of certificates (docs/certificates.md, "The file"), read before anything is computed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from rdbench.outcomes import RdbenchError

FORMAT = 1


def read(path: Path) -> dict[str, Any]:
    """The file, with its version, its numbers and the fields of every certificate looked at.

    Raises:
        RdbenchError: it is no such file; the line says what is wrong, and where.
    """
    where = f"{path} is no file of certificates"
    try:
        content = json.loads(path.read_text(), parse_constant=_refuse, parse_float=_finite)
        if not isinstance(content, dict) or "format" not in content:
            raise ValueError("it has no format")
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, known is {FORMAT}")
        for k, rung in enumerate(content["rungs"]):
            where = f"{path}, certificate {k + 1}"
            _look(rung["certificate"])
        content["case"], content["problem"], [rung["rate"] for rung in content["rungs"]]
    except OSError as error:
        raise RdbenchError(f"cannot read {path}: {error.strerror}") from None
    except KeyError as missing:
        raise RdbenchError(f"{where}: the field {missing} is missing") from None
    except (ValueError, TypeError) as error:
        raise RdbenchError(f"{where}: {error}") from None
    return content


def _look(claim: dict[str, Any]) -> None:
    beta, lo, hi, _ = claim["beta"], claim["lo"], claim["hi"], claim["kind"]
    points, weights = claim["points"], claim["weights"]
    if not (beta > 0 and lo <= hi):
        raise ValueError(f"beta = {beta!r}, lo = {lo!r}, hi = {hi!r}: needs beta > 0 and lo <= hi")
    if len(points) != len(weights) or (weights and not (min(weights) >= 0 and sum(weights) > 0)):
        raise ValueError("needs as many weights as points, none negative, not all zero")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is too large")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
