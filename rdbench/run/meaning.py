"""Which code a cell's numbers pass through: the routes whose digests are in its identity.

A stored row answers a cell as long as nothing changed that could change its numbers. Three routes
lead to them: the framework (seeds, views, the worker, the audit), the estimator, and the case with
its own reference. Each has a digest of its definitions (`rdbench.run.definitions`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from rdbench.run.definitions import Symbol, digest_of, hashed, source_of
from rdbench.types import Case

FRAMEWORK = (
    ("rdbench.run.worker", "solve"),
    ("rdbench.run.plan", "BUDGETS"),
    ("rdbench.audit", "audit"),
    ("rdbench.audit", "SIZES"),
)
"""Where the numbers of every cell come from."""

BOOKKEEPING = (
    "rdbench.registry",
    "rdbench.run.clock",
    "rdbench.run.plan",
    "rdbench.run.process",
    "rdbench.run.records",
    "rdbench.run.spool",
)
"""Modules that find, time and keep: the worker uses them, and no number depends on them."""


@functools.cache
def of_framework() -> str:
    """The digest of what every cell passes through."""
    return digest_of(FRAMEWORK, stop=BOOKKEEPING)


@functools.cache
def of_estimator(cls: type, origin: str = "rdbench") -> str:
    """The digest of an estimator: its class, its parts, and what they use of the framework.

    Args:
        cls: the class.
        origin: the distribution that registers it, with its version, which stands for what a
            plug-in ships beside its code.
    """
    found = digest_of([(cls.__module__, cls.__qualname__)], _own(cls.__module__))
    return found if origin == "rdbench" else hashed(origin, found)


def of_case(case: Case) -> str:
    """The digest of a problem and its truth: their classes, the solver, the shipped table.

    A reference, source or distortion names in ``parts`` what its numbers pass through beyond what
    its class says: functions, classes and files.
    """
    code: dict[Symbol, None] = {}
    files: dict[Path, None] = {}
    objects = (case.problem.source, case.problem.distortion, case.reference)
    _collect((*map(type, objects), *objects), code, files)
    within = dict.fromkeys(package for symbol in code for package in _own(symbol.module))
    return hashed(digest_of(code, tuple(within)), *sorted(map(_content, files)))


def _collect(values: Iterable[Any], code: dict[Symbol, None], files: dict[Path, None]) -> None:
    """Note the classes of all dataclasses in ``values``, and what they name in ``parts``."""
    for value in values:
        if isinstance(value, (tuple, list)):
            _collect(value, code, files)
        elif isinstance(value, dict):
            _collect(value.values(), code, files)
        elif isinstance(value, Path):
            files[value] = None
        elif isinstance(value, type) or hasattr(value, "__code__"):
            code[Symbol(value.__module__, value.__qualname__.partition(".")[0])] = None
        elif is_dataclass(value):
            below = [getattr(value, f.name) for f in fields(value) if f.init]
            _collect([type(value), *below, *getattr(value, "parts", ())], code, files)


@functools.cache
def _content(file: Path) -> str:
    """The digest of a file; of JSON the values count, not how they are written."""
    text = file.read_bytes()
    if file.suffix == ".json":
        text = json.dumps(json.loads(text), sort_keys=True).encode()
    return hashed(text.hex())


@functools.cache
def _own(module: str) -> tuple[str, ...]:
    """The packages whose code is followed from a module: ours, its own, the files beside it."""
    package = module.partition(".")[0]
    found = {"rdbench": None, package: None}
    file = source_of(module)
    if file is not None and module == package and file.parent.name != "site-packages":
        found |= {beside.stem: None for beside in sorted(file.parent.glob("*.py"))}
    return tuple(found)
