"""Markdown about the modules of a package, which mkdocstrings fills in."""

from __future__ import annotations

import importlib
import pkgutil


def modules(package: str) -> str:
    """A directive for every public module of the package, by name."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    names = [m.name for m in found if not m.name.rpartition(".")[2].startswith("_")]
    return "\n\n".join(f"::: {name}" for name in names)
