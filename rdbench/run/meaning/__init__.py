"""Which code a cell's numbers pass through: the routes whose digests are in its identity.

A stored row answers a cell as long as nothing changed that could change its numbers. Three routes
lead to them: the framework (seeds, views, the worker, the audit), the estimator, and the case with
its own reference. Each has a digest of its definitions (`rdbench.run.meaning.definitions`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from rdbench.certify.identity import canonical
from rdbench.run.meaning.definitions import digest_of, hashed
from rdbench.run.meaning.modules import Symbol, source_of
from rdbench.types import Case, RdbenchError

FRAMEWORK = (
    ("rdbench.run.worker", "solve"),
    ("rdbench.run.budgets", "EFFORTS"),
    ("rdbench.run.plan", "slopes_of"),
    ("rdbench.registry", "rebuild"),
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

    Raises:
        RdbenchError: its source cannot be read.
    """
    symbol = _symbol(cls)
    roots = [symbol]
    if hasattr(cls, "upper"):  # the lower twin of the class whose name it has
        roots.append(Symbol("rdbench.fitting.lower", "lowered"))
    found = digest_of(roots, _own(symbol.module))
    return found if origin == "rdbench" else hashed(origin, found)


def of_case(case: Case, origin: str = "rdbench") -> str:
    """The digest of a problem and its truth: classes, values, the solver, the shipped table.

    A reference, source or distortion may name in ``parts``, a tuple, what its numbers pass through
    beyond what its class says: functions, classes and files.

    Args:
        case: the case.
        origin: the distribution that registers its suite, as for `of_estimator`.

    Raises:
        RdbenchError: the source of a class cannot be read.
    """
    code: dict[Symbol, None] = {}
    files: dict[Path, None] = {}
    objects = (case.problem.source, case.problem.distortion, case.reference)
    _collect((*map(type, objects), *objects), code, files, set())
    within = dict.fromkeys(package for symbol in code for package in _own(symbol.module))
    values = ",".join(_values((*objects, case.problem.alphabet)))
    found = hashed(digest_of(code, tuple(within)), *sorted(map(_content, files)), values)
    return found if origin == "rdbench" else hashed(origin, found)


def _symbol(defined: Any) -> Symbol:
    """The top-level name under which a class or function stands."""
    symbol = Symbol(defined.__module__, defined.__qualname__.partition(".")[0])
    if source_of(symbol.module) is None:
        raise RdbenchError(
            f"the source of {symbol.module}.{symbol.name} cannot be read: a change in it would go "
            "unnoticed; define it in a file"
        )
    return symbol


def _collect(
    values: Iterable[Any], code: dict[Symbol, None], files: dict[Path, None], seen: set[int]
) -> None:
    """Note the classes and functions in ``values`` and below, and what they name in ``parts``."""
    for value in values:
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Path):
            files[value] = None
        elif isinstance(value, type) or hasattr(value, "__code__"):
            code[_symbol(value)] = None
        elif isinstance(value, (tuple, list)):
            _collect(value, code, files, seen)
        elif isinstance(value, dict):
            _collect(value.values(), code, files, seen)
        elif isinstance(value, functools.partial):
            _collect((value.func, *value.args, value.keywords), code, files, seen)
        elif _is_object(value):
            parts = getattr(value, "parts", ())
            below = (type(value), *_fields(value).values())
            _collect((*below, parts if isinstance(parts, tuple) else ()), code, files, seen)


def _values(values: Iterable[Any]) -> Iterator[str]:
    """Numbers, names and arrays in ``values`` and below; nine digits are the same everywhere."""
    for value in values:
        if isinstance(value, (tuple, list)):
            yield f"({','.join(_values(value))})"
        elif isinstance(value, dict):
            yield f"({','.join(map(repr, value))}:{','.join(_values(value.values()))})"
        elif _is_object(value):
            held = _fields(value)
            yield f"{type(value).__name__}({','.join(held)}:{','.join(_values(held.values()))})"
        else:
            try:
                yield canonical(value)
            except TypeError:
                yield type(value).__name__  # code, which counts by its definition


def _is_object(value: Any) -> bool:
    """Whether a value is made of others: a dataclass, or a plain object of readable code."""
    if isinstance(value, type) or is_dataclass(value):
        return is_dataclass(value) and not isinstance(value, type)
    module = type(value).__module__
    foreign = module.partition(".")[0] in ("builtins", "torch", "numpy")
    return not foreign and hasattr(value, "__dict__") and source_of(module) is not None


def _fields(value: Any) -> dict[str, Any]:
    """What an object was made with, or the digest that it declares of that."""
    content = getattr(value, "content_digest", None)
    if isinstance(content, str):
        return {"content_digest": content}
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value) if f.init}
    return dict(vars(value))


@functools.cache
def _content(file: Path) -> str:
    """The digest of a file; of JSON the values count, not how they are written."""
    text = file.read_bytes()
    if file.suffix == ".json":
        text = json.dumps(_without_evidence(json.loads(text)), sort_keys=True).encode()
    return hashed(text.hex())


def _without_evidence(content: Any) -> Any:
    """A table of certificates without what only `rdbench verify` reads: no number uses it."""
    if not (isinstance(content, dict) and {"format", "case", "problem", "rungs"} <= set(content)):
        return content
    rungs = [
        {**rung, "certificate": {k: v for k, v in rung["certificate"].items() if k != "lambda"}}
        for rung in content["rungs"]
    ]
    return {**{k: v for k, v in content.items() if k not in ("format", "problem")}, "rungs": rungs}


@functools.cache
def _own(module: str) -> tuple[str, ...]:
    """The packages whose code is followed from a module: ours, its own, the files beside it."""
    package = module.partition(".")[0]
    found = {"rdbench": None, package: None}
    file = source_of(module)
    alone = file is not None and module == package and file.name != "__init__.py"
    if file is not None and alone and file.parent.name not in ("site-packages", "dist-packages"):
        beside = [*file.parent.glob("*.py"), *(f.parent for f in file.parent.glob("*/__init__.py"))]
        stems = sorted(one.stem for one in beside)
        found |= {one: None for one in stems if _lies_in(one, file.parent)}
    return tuple(found)


def _lies_in(module: str, folder: Path) -> bool:
    """Whether a module of this name is the one in this folder, and no other that comes first."""
    file = source_of(module)
    return file is not None and folder in (file.parent, file.parent.parent)
