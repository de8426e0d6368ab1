"""Formulas that are typed in plain text, set with raised and lowered parts.

The documents write mathematics in Unicode, so that they read well as plain files: ``e^{−βρ}``,
``y_j``, ``R^d``; an indented paragraph is a displayed formula. Here the marks become HTML, and no
page needs a script or a font for it. Code, links and comments stay as they are.
"""

from __future__ import annotations

import html
import re

from markup import FENCE, between

_KEPT = re.compile(r"`[^`\n]+`|\]\([^)]*\)|<[^>\n]+>|<!--.*?-->", re.DOTALL)
_DISPLAY = re.compile(r"(?<=\n\n)(    \S.*\n(?:    .*\S.*\n)*)(?=\n)")
_LOW = re.compile(r"_(?:\{([^{}]*)\}|([A-Za-z0-9*]+))")
_LOW_IN_TEXT = re.compile(
    r"(?<![\w*\\])([A-Za-zΑ-Ωα-ω]\u0302?|Σ)_(?:\{([^{}]*)\}|([A-Za-z0-9]+))(?!_)"
)
_HIGH = re.compile(r"\^(?:\{([^{}]*)\}|\(([^()]*)\)|([−-]?\d+(?:\.\d+)?|[A-Za-z*]))")


def set_in_html(text: str) -> str:
    """A page of Markdown with its formulas as HTML."""
    return between(FENCE, text, _prose)


def _prose(text: str) -> str:
    return between(_KEPT, _DISPLAY.sub(lambda m: _displayed(m[1]), text), _in_text)


def _displayed(block: str) -> str:
    lines = [html.escape(line[4:], quote=False) for line in block.splitlines()]
    marked = _raised(_LOW.sub(r"<sub>\1\2</sub>", "\n".join(lines)))
    return f'<div class="formula">{marked}</div>\n'


def _in_text(text: str) -> str:
    return _raised(_LOW_IN_TEXT.sub(r"\1<sub>\2\3</sub>", text))


def _raised(text: str) -> str:
    return _HIGH.sub(r"<sup>\1\2\3</sup>", text)
