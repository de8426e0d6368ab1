"""Words of the command line -> values; every complaint is one line that says what is valid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdbench.types import RdbenchError


def bad(line: str) -> RdbenchError:
    """The error for bad input (its module imports torch, hence not at the top)."""
    from rdbench.types import RdbenchError

    return RdbenchError(line)


def integers(flag: str, text: str, minimum: int) -> list[int]:
    """``2,5,10`` -> integers, each once.

    Raises:
        RdbenchError: empty, not integers, or below the minimum.
    """
    out: list[int] = []
    for part in _parts(flag, text, "integers such as 2,5,10"):
        try:
            value = int(part)
        except ValueError:
            raise bad(f"{flag} takes integers such as 2,5,10, got {part!r}") from None
        if value < minimum:
            raise bad(f"{flag} takes integers from {minimum} up, got {value}")
        out.append(value)
    return list(dict.fromkeys(out))


def positive_numbers(flag: str, text: str) -> list[float]:
    """``0.5,1,2`` -> positive finite numbers.

    Raises:
        RdbenchError: empty, not numbers, not positive or not finite.
    """
    out: list[float] = []
    for part in _parts(flag, text, "numbers such as 0.5,1,2"):
        try:
            value = float(part)
        except ValueError:
            raise bad(f"{flag} takes numbers such as 0.5,1,2, got {part!r}") from None
        if not (math.isfinite(value) and value > 0.0):
            raise bad(f"{flag} takes positive finite numbers, got {part}")
        out.append(value)
    return out


def shard(text: str) -> tuple[int, int]:
    """``i/n`` with 1 <= i <= n.

    Raises:
        RdbenchError: anything else.
    """
    head, slash, tail = text.partition("/")
    try:
        index, count = int(head), int(tail)
    except ValueError:
        index = count = 0
    if not slash or not 1 <= index <= count:
        raise bad(f"--shard takes i/n with 1 <= i <= n, such as 2/4, got {text!r}")
    return index, count


def at_least_one(flag: str, value: int) -> int:
    """A count.

    Raises:
        RdbenchError: it is below one.
    """
    if value < 1:
        raise bad(f"{flag} takes an integer from 1 up, got {value}")
    return value


def one_of(flag: str, value: str, valid: tuple[str, ...]) -> str:
    """A word out of a few.

    Raises:
        RdbenchError: another word.
    """
    if value not in valid:
        raise bad(f"{flag} takes {' or '.join(valid)}, got {value!r}")
    return value


def _parts(flag: str, text: str, takes: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise bad(f"{flag} takes {takes}, got {text!r}")
    return parts
