"""The files of the tables and the numbers behind the figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rdbench.report.export import frame, write
from rdbench.report.files import write_whole
from rdbench.report.markup import escape_latex
from rdbench.report.style import estimator_label
from rdbench.reproduce.paper import Found
from rdbench.reproduce.sheet import Sheet
from rdbench.run.records import CellRecord

_DRAWN = (
    "case", "estimator", "preset", "target_rate", "law", "symbol",
    "x1", "x2", "y1", "y2",
)  # fmt: skip
"""The columns of ``rdbench export --what draws`` that the file of draws has."""
_ENDINGS = {"latex": "tex", "md": "md", "csv": "csv"}
_DOCUMENT = r"""\documentclass{{article}}
\usepackage[a4paper,landscape,margin=12mm]{{geometry}}
\usepackage{{booktabs}}
\usepackage{{graphicx}}
\title{{{title}}}
\date{{}}
\begin{{document}}
\maketitle
\noindent {common}
{body}
\end{{document}}
"""
_TABLE = r"""
\begin{{table}}[p]
  \centering\scriptsize\setlength{{\tabcolsep}}{{3pt}}
  \caption{{{caption}}}
  \sbox0{{\input{{{name}.tex}}}}%
  \ifdim\wd0>\textwidth\resizebox{{\textwidth}}{{!}}{{\usebox0}}\else\usebox0\fi
\end{{table}}
\clearpage"""


def save_tables(
    sheets: Iterable[Sheet], title: str, out: Path, common: Sequence[str] = ()
) -> list[Path]:
    """Every table as LaTeX, Markdown and CSV, and ``tables.tex``, a document of all of them.

    The notes in ``common`` stand once at the head of the document, not in every caption.

    Raises:
        RdbenchError: a file cannot be written.
    """
    held = list(sheets)
    paths = []
    for sheet in held:
        for fmt, ending in _ENDINGS.items():
            text = sheet.text(fmt)
            if fmt == "md":
                text = "\n\n".join([f"# {sheet.title}", text.rstrip(), *sheet.notes]) + "\n"
            paths.append(write_whole(text.encode(), out / f"{sheet.name}.{ending}"))
    body = "\n".join(
        _TABLE.format(
            caption=escape_latex(
                " ".join([f"{s.title}.", *(n for n in s.notes if n not in common)])
            ),
            name=s.name,
        )
        for s in held
    )
    document = _DOCUMENT.format(
        title=escape_latex(title), common=escape_latex(" ".join(common)), body=body
    )
    return [*paths, write_whole(document.encode(), out / "tables.tex")]


def save_numbers(found: Sequence[Found], out: Path) -> list[Path]:
    """``figure-NAME.csv`` for every part: the columns of `rdbench export`, the truth among them.

    Parts whose rows keep draws have them in ``figure-NAME-draws.csv``. A part without records has
    a file with a header alone.

    Raises:
        RdbenchError: a file cannot be written.
    """
    paths = []
    for one in found:
        path = out / f"figure-{one.part.name}.csv"
        write(frame(one.records), "csv", path)
        paths.append(path)
        if one.part.draws:
            path = out / f"figure-{one.part.name}-draws.csv"
            # Of megabytes: without the columns that say the same in every row.
            kept = frame(first_seeds(one.records), "draws")
            write(kept[list(_DRAWN)], "csv", path)
            paths.append(path)
    return paths


def first_seeds(records: Iterable[CellRecord]) -> list[CellRecord]:
    """The record of the lowest seed of each estimator, in the order of the first appearance."""
    chosen: dict[str, CellRecord] = {}
    for record in records:
        label = estimator_label(record)
        if label not in chosen or record.seed < chosen[label].seed:
            chosen[label] = record
    return list(chosen.values())
