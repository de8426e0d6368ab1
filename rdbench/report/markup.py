"""One plain table of texts in four markups."""

from __future__ import annotations

import csv
import html
import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rdbench.outcomes import RdbenchError
from rdbench.report.spreadsheet import literal

FORMATS = ("md", "latex", "csv", "html")

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "≤": r"$\leq$", "≥": r"$\geq$", "β": r"$\beta$", "−": "$-$", "[": "{[}", "]": "{]}",
    "*": "{*}", "ρ": r"$\rho$", "λ": r"$\lambda$", "ε": r"$\varepsilon$", "σ": r"$\sigma$",
    "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "∞": r"$\infty$", "…": r"\ldots{}",
    "–": "--", "—": "---",
}  # fmt: skip
# Accents over and under Latin letters, and ligatures: what pdflatex sets in any of its encodings.
_ACCENTS = frozenset("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327")
_LETTERS = frozenset("ßÆæØøŒœŁł")
_LATIN = 0x180

_MINUS = re.compile(r"(?<![\w.])-(?=\d)")
_POWER = re.compile(r"(\d(?:\.\d+)?)e([+-])0*(\d+)")

Over = tuple[int, str]

Bold = AbstractSet[tuple[int, int]]


def render(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    fmt: str,
    bold: Bold = frozenset(),
    over: Over | None = None,
) -> str:
    """The table as text that ends in a newline.

    Args:
        header: the column titles.
        rows: the cells, one text per column.
        numeric: which columns are set flush right.
        fmt: ``md``, ``latex`` (needs the booktabs package), ``csv`` or ``html``.
        bold: the cells set bold, as (row, column) counted from 0; CSV has no bold.
        over: a title over the columns from the given one on; LaTeX and HTML alone have it.

    Raises:
        RdbenchError: the format is unknown.
    """
    if fmt == "csv":
        text = io.StringIO()
        lines = [[literal(one) for one in cells] for cells in (header, *rows)]
        csv.writer(text, lineterminator="\n").writerows(lines)
        return text.getvalue()
    if fmt not in _MARKUPS:
        raise RdbenchError(f"unknown format {fmt!r}; choose from {', '.join(FORMATS)}")
    escape, strong, lay_out = _MARKUPS[fmt]

    def cell(text: str, row: int, column: int) -> str:
        shown = escape(text)
        if fmt == "latex" and numeric[column]:
            shown = powers_of_ten(escape(_MINUS.sub("−", text)))
        return strong(shown) if (row, column) in bold else shown

    body = [[cell(text, i, j) for j, text in enumerate(row)] for i, row in enumerate(rows)]
    title = None if over is None else (over[0], escape(over[1]))
    return "\n".join(lay_out([escape(title) for title in header], body, numeric, title)) + "\n"


@dataclass(frozen=True)
class Fitted:
    """A table as text, and the titles of the columns that were left out to fit a width.

    ``notes`` say what a reader should know of its rows, one line each.
    """

    text: str
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def fitted(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    fmt: str,
    bold: Bold = frozenset(),
    droppable: Sequence[Sequence[str]] = (),
    width: int | None = None,
) -> Fitted:
    """``render`` within a width.

    Args:
        header: the column titles.
        rows: the cells, one text per column.
        numeric: which columns are set flush right.
        fmt: as in ``render``.
        bold: as in ``render``.
        droppable: the titles that may be left out together, the least important first.
        width: of a line in characters; None leaves nothing out.
    """
    left_out: list[str] = []
    for titles in [*droppable, ()]:
        kept = [place for place, title in enumerate(header) if title not in left_out]
        text = render(
            [header[k] for k in kept], [[row[k] for k in kept] for row in rows],
            [numeric[k] for k in kept], fmt,
            {(row, kept.index(column)) for row, column in bold if column in kept},
        )  # fmt: skip
        if width is None or max(map(len, text.splitlines())) <= width:
            break
        left_out += [title for title in titles if title in header]
    return Fitted(text, tuple(left_out))


def left_out_note(titles: Sequence[str], width: int | None) -> str:
    """Which columns did not fit into ``width`` characters, and how to see them."""
    return f"not shown in {width} columns: {', '.join(titles)}; --verbose shows them"


def escape_latex(text: str) -> str:
    """``text`` with everything that LaTeX would interpret made literal.

    Lines and runs of spaces become one space; a letter that pdflatex cannot set becomes its number,
    such as U+1F600.
    """
    # Brackets and stars too: after ``\\`` or ``\midrule`` they would be an optional argument.
    return "".join(map(_in_latex, " ".join(text.split())))


def _in_latex(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii() and character.isprintable():
        return character
    parts = unicodedata.normalize("NFD", character)
    accented = ord(character) < _LATIN and parts[0].isascii() and parts[1:] in _ACCENTS
    return character if accented or character in _LETTERS else f"U+{ord(character):04X}"


def powers_of_ten(latex: str) -> str:
    """1e-09 as a power of ten, throughout a text in LaTeX."""
    return _POWER.sub(lambda f: rf"${f[1]} \cdot 10^{{{'-' if f[2] == '-' else ''}{f[3]}}}$", latex)


def _strong_latex(text: str) -> str:
    return rf"\textbf{{\boldmath {text}}}" if "$" in text else rf"\textbf{{{text}}}"


def _escape_markdown(text: str) -> str:
    # GitHub splits a row at every bar, even within code. Brackets and underscores within words are
    # literal there, and the text stays readable as it is.
    for character in "\\|*<`":
        text = text.replace(character, "\\" + character)
    return text.replace("\n", " ")


Cells = Sequence[Sequence[str]]


def _markdown(
    header: Sequence[str], rows: Cells, numeric: Sequence[bool], over: Over | None
) -> list[str]:
    del over  # Markdown has no cells that span columns
    rule = ["---:" if right else ":---" for right in numeric]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _latex(
    header: Sequence[str], rows: Cells, numeric: Sequence[bool], over: Over | None
) -> list[str]:
    columns = "".join("r" if right else "l" for right in numeric)
    first, *others = (rf"  {' & '.join(cells)} \\" for cells in (header, *rows))
    head = [] if over is None else _spanning(over, len(header))
    return [
        rf"\begin{{tabular}}{{{columns}}}", r"  \toprule", *head, first, r"  \midrule", *others,
        r"  \bottomrule", r"\end{tabular}",
    ]  # fmt: skip


def _spanning(over: Over, count: int) -> list[str]:
    start, title = over
    return [
        rf"  {'& ' * start}\multicolumn{{{count - start}}}{{c}}{{{title}}} \\",
        rf"  \cmidrule(lr){{{start + 1}-{count}}}",
    ]


def _html(
    header: Sequence[str], rows: Cells, numeric: Sequence[bool], over: Over | None
) -> list[str]:
    def line(tag: str, cells: Sequence[str]) -> str:
        styles = (' style="text-align:right"' if right else "" for right in numeric)
        inner = (f"<{tag}{style}>{text}</{tag}>" for text, style in zip(cells, styles, strict=True))
        return f"  <tr>{''.join(inner)}</tr>"

    body = [line("td", row) for row in rows]
    head = ["<table>", "<thead>", line("th", header), "</thead>"]
    if over is not None:
        start, title = over
        span = f'<th colspan="{len(header) - start}">{title}</th>'
        head.insert(2, f"  <tr>{'<th></th>' * start}{span}</tr>")
    return [*head, "<tbody>", *body, "</tbody>", "</table>"]


_LayOut = Callable[[Sequence[str], Cells, Sequence[bool], Over | None], list[str]]
_MARKUPS: Mapping[str, tuple[Callable[[str], str], Callable[[str], str], _LayOut]] = {
    "md": (_escape_markdown, "**{}**".format, _markdown),
    "latex": (escape_latex, _strong_latex, _latex),
    "html": (html.escape, "<strong>{}</strong>".format, _html),
}
"""How a cell is escaped, how it is made bold, and how the lines are laid out."""
