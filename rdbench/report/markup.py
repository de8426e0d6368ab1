"""One plain table of texts in four markups."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from rdbench.outcomes import RdbenchError

FORMATS = ("md", "latex", "csv", "html")

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "≤": r"$\leq$", "≥": r"$\geq$", "β": r"$\beta$", "−": "$-$", "[": "{[}", "]": "{]}",
}  # fmt: skip


_LEADING_MINUS = re.compile(r"^-(?=\d)")
_RIGHT = ' style="text-align:right"'


Bold = AbstractSet[tuple[int, int]]


def render(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    fmt: str,
    bold: Bold = frozenset(),
) -> str:
    """The table as text that ends in a newline.

    Args:
        header: the column titles.
        rows: the cells, one text per column.
        numeric: which columns are set flush right.
        fmt: ``md``, ``latex`` (needs the booktabs package), ``csv`` or ``html``.
        bold: the cells set bold, as (row, column) counted from 0; CSV has no bold.

    Raises:
        RdbenchError: the format is unknown.
    """
    match fmt:
        case "md":
            return _markdown(header, rows, numeric, bold)
        case "latex":
            return _latex(header, rows, numeric, bold)
        case "csv":
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([header, *rows])
            return text.getvalue()
        case "html":
            return _html(header, rows, numeric, bold)
        case _:
            raise RdbenchError(f"unknown format {fmt!r}; choose from {', '.join(FORMATS)}")


def escape_latex(text: str) -> str:
    """``text`` with everything that LaTeX would interpret made literal."""
    # Brackets too: after ``\\`` or ``\midrule`` they would open an optional argument.
    return "".join(_LATEX.get(character, character) for character in text)


def _markdown(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    bold: Bold,
) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def escape(text: str) -> str:
        # GitHub splits a row at every bar, even within code. Brackets and underscores within
        # words are literal there, and the text stays readable as it is.
        for character in "\\|*<`":
            text = text.replace(character, "\\" + character)
        return text.replace("\n", " ")

    rule = line(["---:" if right else ":---" for right in numeric])
    body = [
        line([f"**{escape(t)}**" if (i, j) in bold else escape(t) for j, t in enumerate(row)])
        for i, row in enumerate(rows)
    ]
    return "\n".join([line([escape(title) for title in header]), rule, *body]) + "\n"


def _latex(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    bold: Bold,
) -> str:
    def line(cells: Sequence[str], row: int | None = None) -> str:
        texts = [
            escape_latex(_LEADING_MINUS.sub("−", cell) if right else cell)
            for cell, right in zip(cells, numeric, strict=True)
        ]
        texts = [rf"\textbf{{{t}}}" if (row, j) in bold else t for j, t in enumerate(texts)]
        return "  " + " & ".join(texts) + r" \\"

    columns = "".join("r" if right else "l" for right in numeric)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"  \toprule",
            line(header),
            r"  \midrule",
            *(line(row, i) for i, row in enumerate(rows)),
            r"  \bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _html(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    bold: Bold,
) -> str:
    def line(tag: str, cells: Sequence[str], row: int | None = None) -> str:
        texts = [
            f"<strong>{html.escape(cell)}</strong>" if (row, j) in bold else html.escape(cell)
            for j, cell in enumerate(cells)
        ]
        inner = "".join(
            f"<{tag}{_RIGHT if right else ''}>{text}</{tag}>"
            for text, right in zip(texts, numeric, strict=True)
        )
        return f"  <tr>{inner}</tr>"

    return "\n".join(
        [
            "<table>",
            "<thead>",
            line("th", header),
            "</thead>",
            "<tbody>",
            *(line("td", row, i) for i, row in enumerate(rows)),
            "</tbody>",
            "</table>",
            "",
        ]
    )
