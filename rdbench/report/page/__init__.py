"""One self-contained page of everything that is stored, to be read without a network."""

from rdbench.report.page.render import render, write

__all__ = ["render", "write"]
