"""Texts of strangers, from exceptions, refusals and records: bounded, and safe to keep and print.

A lone surrogate has no UTF-8, a control character may command a terminal, and a message may be as
long as an array. All three are made harmless where a text enters a record, and where one is read.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, TypeVar

import msgspec

MOST_REASON = 2_000
MOST_TRACEBACK = 50_000
"""Characters; what is longer loses its middle."""

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but tabs and ends of lines
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction
    "\ud800-\udfff]"  # surrogates
)
_LINES = re.compile("[\t\n]")
# The same as JSON may spell them: escaped, or as bytes of UTF-8.
_SUSPECT = re.compile(
    rb"\\[bfru]|\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2(?:\x80[\x8e\x8f\xaa-\xae]|\x81[\xa6-\xa9])"
)
S = TypeVar("S", bound=msgspec.Struct)


def printable(text: str) -> str:
    """The text with control characters, marks of direction and lone surrogates spelled out.

    Tabs and ends of lines stay.
    """
    return _UNSAFE.sub(lambda found: _spelled(found[0]), text)


def one_line_of(text: str) -> str:
    """`printable`, in one line."""
    return _LINES.sub(" ", printable(text))


def bounded(text: str, most: int) -> str:
    """The text, or its two ends with what was left out between them."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


def said(problem: BaseException) -> str:
    """The name of an exception and its message in one bounded line, whatever its ``__str__``."""
    try:
        message = " ".join(bounded(str(problem), MOST_REASON).split())
    except BaseException as second:  # of a stranger's code
        message = f"(its message cannot be read: {type(second).__name__})"
    return one_line_of(f"{type(problem).__name__}: {message}".rstrip(": ")[:500])


def encoded(struct: msgspec.Struct) -> bytes:
    """One line of JSON, without its end; what has no UTF-8 is spelled out."""
    try:
        return msgspec.json.encode(struct)
    except UnicodeEncodeError:
        return msgspec.json.encode(_cleaned(msgspec.to_builtins(struct)))


def decoded(raw: bytes, kind: type[S]) -> S:
    """A struct from a line of JSON, its texts `printable`.

    Raises:
        ValueError: it is none; the message is one bounded line.
    """
    try:
        found: S = _decoder(kind).decode(raw)
        if not _is_plain(raw) and _SUSPECT.search(raw):
            found = msgspec.convert(_cleaned(msgspec.to_builtins(found)), kind)
        return found
    # msgspec passes on what bytes that are no UTF-8 and endless nesting raise.
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise ValueError(said(problem).partition(": ")[2] or said(problem)) from None


@cache
def _decoder(kind: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(kind)


def _is_plain(raw: bytes) -> bool:
    """Whether every character is what it looks like; quick: most of a line is numbers."""
    return raw.isascii() and b"\\" not in raw and b"\x7f" not in raw


def _cleaned(value: Any) -> Any:
    """Plain values with every text in them `printable`."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, (list, tuple)) else value


def _spelled(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
