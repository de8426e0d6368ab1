"""Words of the command line -> values; every complaint is one line that says what is valid."""

from __future__ import annotations

import math
import re

from rdbench.outcomes import RdbenchError

_MOST = 100_000  # integers in one list; more is a slip of the keyboard
_LARGEST = 2**63 - 1  # what a record, and a column of the export, can hold


def integers(flag: str, text: str, minimum: int) -> list[int]:
    """``0,2-4`` -> 0, 2, 3, 4; each integer once, in the order given.

    Raises:
        RdbenchError: empty, neither integers nor ranges, below the minimum, or above what a record
            can hold.
    """
    out: dict[int, None] = {}
    for part in _parts(flag, text, "integers such as 2,5,10"):
        found = re.fullmatch(r"(-?\d{1,30})(?:-(\d{1,30}))?", part)
        if found is None:
            raise RdbenchError(f"{flag} takes integers such as 2,5,10 or 0-3, got {_brief(part)}")
        first = int(found[1])
        last = first if found[2] is None else int(found[2])
        if first < minimum:
            raise RdbenchError(f"{flag} takes integers from {minimum} up, got {first}")
        if max(first, last) > _LARGEST:
            raise RdbenchError(f"{flag} takes integers up to {_LARGEST}, got {max(first, last)}")
        if not first <= last < first + _MOST:
            raise RdbenchError(f"{flag} takes integers, and ranges such as 0-3, got {part!r}")
        out |= dict.fromkeys(range(first, last + 1))
    return list(out)


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
            raise RdbenchError(f"{flag} takes numbers such as 0.5,1,2, got {part!r}") from None
        if not (math.isfinite(value) and value > 0.0):
            raise RdbenchError(f"{flag} takes positive finite numbers, got {part}")
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
        raise RdbenchError(f"--shard takes i/n with 1 <= i <= n, such as 2/4, got {text!r}")
    return index, count


def at_least_one(flag: str, value: int) -> int:
    """A count.

    Raises:
        RdbenchError: it is below one, or above what a record can hold.
    """
    if value < 1:
        raise RdbenchError(f"{flag} takes an integer from 1 up, got {value}")
    if value > _LARGEST:
        raise RdbenchError(f"{flag} takes an integer up to {_LARGEST}, got {value}")
    return value


def one_of(flag: str, value: str, valid: tuple[str, ...]) -> str:
    """A word out of a few.

    Raises:
        RdbenchError: another word.
    """
    if value not in valid:
        listed = " or ".join([", ".join(valid[:-1]), valid[-1]])
        raise RdbenchError(f"{flag} takes {listed}, got {value!r}")
    return value


def _brief(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}..."


def _parts(flag: str, text: str, takes: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise RdbenchError(f"{flag} takes {takes}, got {text!r}")
    return parts


def units(value: str) -> str:
    """nats or bits.

    Raises:
        RdbenchError: another word.
    """
    return one_of("--units", value, ("nats", "bits"))
