"""Arguments of the Python front door -> plain values; every complaint is one line.

`rdbench.cli.parse` does the same for words of the command line.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from rdbench.outcomes import RdbenchError

_LARGEST = 2**63 - 1  # what a record can hold


def positive(name: str, values: Any) -> list[float] | None:
    """A list of positive finite numbers, or None.

    Raises:
        RdbenchError: anything else, or nothing in the list.
    """
    if values is None:
        return None
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        raise RdbenchError(f"{name} takes a list of numbers, got {_brief(values)}") from None
    if not found or not all(0.0 < value < math.inf for value in found):
        raise RdbenchError(f"{name} takes positive finite numbers, got {_brief(found)}")
    return found


def integer(name: str, value: Any, least: int) -> int:
    """An integer of any type, numpy's too.

    Raises:
        RdbenchError: anything else, or an integer below the least.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        found = operator.index(value)
    except TypeError:
        raise RdbenchError(f"{name} takes an integer, got {_brief(value)}") from None
    if not least <= found <= _LARGEST:
        raise RdbenchError(
            f"{name} takes integers of {least} or more, up to {_LARGEST}, got {found}"
        )
    return found


def integers(name: str, values: Any, least: int) -> list[int]:
    """Different integers, in the order given.

    Raises:
        RdbenchError: anything else, or none.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise RdbenchError(f"{name} takes a list of integers, got {_brief(values)}")
    found = list(dict.fromkeys(integer(name, value, least) for value in values))
    if not found:
        raise RdbenchError(f"{name} takes a list of integers, got none")
    return found


def word(name: str, value: Any) -> str:
    """Text.

    Raises:
        RdbenchError: anything else.
    """
    if not isinstance(value, str):
        raise RdbenchError(f"{name} takes text, got {_brief(value)}")
    return value


def path(name: str, value: Any) -> Path:
    """The path of a folder.

    Raises:
        RdbenchError: neither text nor a path.
    """
    if not isinstance(value, (str, PathLike)):
        raise RdbenchError(f"{name} takes the path of a folder, got {_brief(value)}")
    return Path(value)


def specifications(estimators: Any) -> str | None:
    """Estimators as they are written on the command line; None for the usual ones.

    Raises:
        RdbenchError: neither text nor a list of texts, or an empty list.
    """
    if estimators is None:
        return None
    several = [estimators] if isinstance(estimators, str) else estimators
    if not isinstance(several, Iterable):
        raise RdbenchError(f"estimators takes text or a list of texts, got {_brief(several)}")
    found = [word("estimators", one) for one in several]
    if not any(one.strip() for one in found):
        raise RdbenchError("estimators takes at least one name, got none")
    return ",".join(found)


def _brief(value: Any) -> str:
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
