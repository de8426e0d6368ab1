"""The definitions that code is made of, and the digest of all that is reached from some of them.

`digest_of` follows names: from a function or a class to the functions, classes and constants that
it uses, through every module of its own package. The digest is of the set of these definitions,
each as its syntax tree without docstrings, comments and annotations. Where a definition stands is
not in it: a helper or a module that moves changes no digest.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rdbench.run.meaning.modules import (
    IMPORTED,
    WHOLE,
    Meaning,
    Module,
    Symbol,
    is_below,
    read_module,
    resolve,
    source_of,
)
from rdbench.run.meaning.text import Writer

DISPATCH = Symbol("rdbench.certify.solve", "dispatch")
"""Decorates functions that choose: their text counts, and what they call does not."""


def digest_of(
    roots: Iterable[tuple[str, str]],
    within: Sequence[str] = ("rdbench",),
    stop: Sequence[str] = (),
) -> str:
    """The digest of every definition that the roots reach.

    Args:
        roots: pairs of a module and a top-level name in it.
        within: the packages whose code is followed; of others the names count.
        stop: modules, with all below them, that are not followed.

    Returns:
        64 hexadecimal digits, whatever the order of the roots.
    """
    within, stop = tuple(within), tuple(stop)
    found = {definition_of(one, within, stop).digest for one in reached(roots, within, stop)}
    return hashed(*sorted(found))


def reached(
    roots: Iterable[tuple[str, str]],
    within: Sequence[str] = ("rdbench",),
    stop: Sequence[str] = (),
) -> set[Symbol]:
    """The definitions that the roots use, and theirs, and so on; arguments as for `digest_of`."""
    seen: set[Symbol] = set()
    waiting = [Symbol(*root) for root in roots]
    while waiting:
        symbol = waiting.pop()
        if symbol not in seen:
            seen.add(symbol)
            waiting += definition_of(symbol, tuple(within), tuple(stop)).uses
    return seen


def hashed(*texts: str) -> str:
    """The sha256 of lines of text."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


class Definition(NamedTuple):
    """What a top-level name stands for."""

    digest: str
    """Of its own text, and of the text of each definition that it uses."""
    uses: tuple[Symbol, ...]


@functools.cache
def definition_of(symbol: Symbol, within: tuple[str, ...], stop: tuple[str, ...]) -> Definition:
    """The definition of a name, without what is defined in ``stop``."""
    text, meanings = _text(symbol, within)
    own = [
        (name, target)
        for name, target in meanings
        if isinstance(target, Symbol) and target != symbol and not is_below(target.module, stop)
    ]
    if _is_dispatch(symbol):
        own = [(name, to) for name, to in own if not _is_function(to) or _is_dispatch(to)]
    # Not the names alone: a call that is turned to another function of the same name has to show.
    meant = sorted(f"{name} {_text(target, within)[0]}" for name, target in own)
    uses = [target for _, target in own]
    if symbol.name != IMPORTED:
        uses.append(Symbol(symbol.module, IMPORTED))
    else:
        module = read_module(symbol.module)
        imported = module.imported if module is not None else ()
        uses += [
            Symbol(one, IMPORTED)
            for one in dict.fromkeys(imported)
            if is_below(one, within) and not is_below(one, stop) and read_module(one) is not None
        ]
    return Definition(hashed(text, *meant), tuple(uses))


@functools.cache
def _text(symbol: Symbol, within: tuple[str, ...]) -> tuple[str, tuple[tuple[str, Meaning], ...]]:
    """The digest of a definition alone, and what the names in it stand for."""
    module = read_module(symbol.module)
    if module is None:
        return hashed(*symbol), ()
    if module.unreadable:
        return module.unreadable, ()
    statements = _statements(module, symbol.name)
    writer = Writer(module, statements, within)
    try:
        written = list(filter(None, map(writer.write, statements)))
    except RecursionError:  # hundreds of branches, or of terms of a sum: the file as it is
        file = source_of(symbol.module)
        written = [hashlib.sha256(file.read_bytes() if file is not None else b"").hexdigest()]
    if symbol.name == WHOLE:
        written.sort()
    others = sorted(f"{name} {what}" for name, what in writer.meanings if isinstance(what, str))
    return hashed(*written, *others), tuple(writer.meanings)


def _statements(module: Module, name: str) -> list[ast.stmt]:
    if name == IMPORTED:
        return module.effects
    found = module.definitions.get(name)
    if found is None:  # the whole module, or what is made while it runs
        found = [one for each in module.definitions.values() for one in each]
    return list(dict.fromkeys(found))


def _is_dispatch(symbol: Symbol) -> bool:
    module = read_module(symbol.module)
    for statement in module.definitions.get(symbol.name, ()) if module is not None else ():
        for decorator in getattr(statement, "decorator_list", ()):
            if isinstance(decorator, ast.Name) and decorator.id == DISPATCH.name:
                own = ("rdbench", symbol.module.partition(".")[0])
                return DISPATCH in resolve(symbol.module, DISPATCH.name, own)
    return False


def _is_function(symbol: Symbol) -> bool:
    module = read_module(symbol.module)
    found = module.definitions.get(symbol.name, ()) if module is not None else ()
    return any(isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) for one in found)
