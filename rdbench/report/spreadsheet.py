"""Texts in CSV, which a spreadsheet may take for formulas."""

from __future__ import annotations

_STARTS = ("=", "+", "-", "@", "\t", "\r")


def literal(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would compute it.

    Numbers stay, signs included, and so does the dash of what is not known.
    """
    if not text.startswith(_STARTS) or text == "-" or _is_number(text):
        return text
    return f"'{text}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
