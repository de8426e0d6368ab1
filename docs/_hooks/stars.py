"""Docstrings are plain text: the star of F* is no emphasis.

An extension of griffe, which reads the docstrings for the pages of the interface.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_STAR = re.compile(r"(?<=[A-Za-z])\*(?![\w*])")


class PlainStars(griffe.Extension):
    """Write the star of an optimum as a sign that Markdown leaves alone."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of whatever was read."""
        if obj.docstring is not None:
            obj.docstring.value = _STAR.sub("∗", obj.docstring.value)
