"""What stands around a tabular: a float with caption and label, a document of its own."""

from __future__ import annotations

import re

from rdbench.outcomes import RdbenchError
from rdbench.report.markup import escape_latex

PREAMBLE = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[landscape,margin=1cm]{geometry}
\usepackage{booktabs}
\pagestyle{empty}
\begin{document}
"""
_LABEL = re.compile(r"[A-Za-z0-9:._/+-]+")


def around(
    tabular: str, caption: str | None = None, label: str | None = None, standalone: bool = False
) -> str:
    r"""The tabular in a ``table`` with its caption and label; ``standalone``, in a document.

    Args:
        tabular: from ``\begin{tabular}`` to its end.
        caption: plain text: what LaTeX would interpret is made literal. None for no ``table``.
        label: for ``\ref``.
        standalone: whether the text is to compile by itself; else the preamble of another document
            needs ``\usepackage{booktabs}``.

    Raises:
        RdbenchError: a label without a caption, which would refer to something else, or one with
            characters that a label may not have.
    """
    if label is not None and not _LABEL.fullmatch(label):
        raise RdbenchError(f"a label takes letters, digits and : . _ / + -, got {label!r}")
    if label is not None and caption is None:
        raise RdbenchError("--label needs a --caption: LaTeX numbers that")
    text = tabular.strip()
    if caption is not None:
        name = [] if label is None else [rf"\label{{{label}}}"]
        head = [r"\begin{table}[htbp]", r"\centering", rf"\caption{{{escape_latex(caption)}}}"]
        text = "\n".join([*head, *name, text, r"\end{table}"])
    else:
        # A comment, so that who pastes it knows what it needs.
        text = text if standalone else f"% needs \\usepackage{{booktabs}}\n{text}"
    return f"{PREAMBLE}{text}\n\\end{{document}}\n" if standalone else f"{text}\n"
