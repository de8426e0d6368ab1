"""The definitions that code is made of, read from its source without running it.

`digest_of` follows names: from a function or a class to the functions, classes and constants that
it uses, through every module of its own package. The digest is of the set of these definitions,
each as its syntax tree without docstrings, comments and annotations. Where a definition stands is
not in it: a helper or a module that moves changes no digest.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Symbol(NamedTuple):
    """A top-level name of a module."""

    module: str
    name: str


class Import(NamedTuple):
    """The module, or the object in it, that an imported name refers to."""

    module: str
    attribute: str | None


Meaning = Symbol | str
"""A definition of our own; of other packages the dotted name."""


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
    found = {definition_of(symbol, tuple(within)).digest for symbol in reached(roots, within, stop)}
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
            uses = definition_of(symbol, tuple(within)).uses
            waiting += [used for used in uses if not is_below(used.module, stop)]
    return seen


def is_below(module: str, packages: Sequence[str]) -> bool:
    """Whether a module is one of the packages, or in one."""
    return any(module == one or module.startswith(one + ".") for one in packages)


def hashed(*texts: str) -> str:
    """The sha256 of lines of text."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


# --------------------------------------------------------------------------------------------
# one definition


class Definition(NamedTuple):
    """A top-level name and what it stands for."""

    digest: str
    """Of its own text, and of the text of each definition that it uses."""
    uses: tuple[Symbol, ...]


@functools.cache
def definition_of(symbol: Symbol, within: tuple[str, ...]) -> Definition:
    """The definition that a top-level name refers to."""
    text, meanings = _text(symbol, within)
    own = [(name, target) for name, target in meanings if isinstance(target, Symbol)]
    if _is_dispatch(symbol):
        return Definition(text, ())
    # Not the names alone: a call that is turned to another function of the same name has to show.
    meant = [f"{name} {_text(target, within)[0]}" for name, target in own]
    return Definition(hashed(text, *sorted(meant)), tuple(target for _, target in own))


@functools.cache
def _text(symbol: Symbol, within: tuple[str, ...]) -> tuple[str, tuple[tuple[str, Meaning], ...]]:
    """The digest of a definition alone, and what the names in it stand for."""
    module = read_module(symbol.module)
    if module is None:
        return hashed(*symbol), ()
    statements = [*module.definitions.get(symbol.name, ()), *module.effects]
    imports = dict(module.imports)
    for statement in statements:
        imports |= _imports(statement, module)
    writer = _Writer(module, imports, within)
    written = [writer.write(statement) for statement in statements]
    others = sorted(f"{name} {what}" for name, what in writer.meanings if isinstance(what, str))
    return hashed(*written, *others), tuple(writer.meanings)


def _is_dispatch(symbol: Symbol) -> bool:
    """Whether a function is marked as one that chooses (`rdbench.certify.solve.dispatch`)."""
    module = read_module(symbol.module)
    for statement in module.definitions.get(symbol.name, ()) if module is not None else ():
        for decorator in getattr(statement, "decorator_list", ()):
            if isinstance(decorator, ast.Name) and decorator.id == "dispatch":
                return True
    return False


class _Writer:
    """A syntax tree as text, the same in every version of Python, without what means nothing."""

    def __init__(self, module: Module, imports: dict[str, Import], within: Sequence[str]) -> None:
        self.module = module
        self.imports = imports
        self.within = within
        self.meanings: dict[tuple[str, Meaning], None] = {}

    def write(self, node: Any) -> str:
        """The text of a node, a list of nodes, or a value."""
        if isinstance(node, list):
            return "[" + ",".join(filter(None, map(self.write, node))) + "]"
        if not isinstance(node, ast.AST):
            return repr(node)
        if _is_text(node) or isinstance(node, (ast.Import, ast.ImportFrom)) or _is_for_types(node):
            return ""
        if isinstance(node, ast.Name):
            return f"Name({self.named(node.id)})"
        if isinstance(node, ast.Attribute):
            return self.attribute(node)
        if isinstance(node, ast.AnnAssign):
            return self.annotated(node)
        left_out = {"ctx", "kind", "type_comment", "type_params", "returns", "type_ignores"}
        if isinstance(node, ast.arg):
            left_out.add("annotation")
        parts = [
            f"{name}={self.write(value)}"
            for name, value in sorted(ast.iter_fields(node))
            if name not in left_out and value not in (None, [])
        ]
        return f"{type(node).__name__}({','.join(parts)})"

    def annotated(self, node: ast.AnnAssign) -> str:
        """A field: that it is one matters, and whether the class or the instance has it."""
        marks = [m for m in ("ClassVar", "InitVar") if m in ast.unparse(node.annotation)]
        value = "" if node.value is None else self.write(node.value)
        return f"Field({self.write(node.target)},{marks},{value})"

    def attribute(self, node: ast.Attribute) -> str:
        """``a.b``; where ``a`` is a module of our own, what ``b`` stands for."""
        module = self.module_at(node.value)
        if module is not None:
            target = _resolve(module, node.attr, self.within)
            if isinstance(target, Symbol):
                self.meanings[target.name, target] = None
                return f"Name({target.name})"
        return f"Attribute({self.write(node.value)},{node.attr})"

    def named(self, name: str) -> str:
        """The name under which a name's meaning is defined; a local name is itself."""
        if name in self.module.definitions:
            self.meanings[name, Symbol(self.module.name, name)] = None
            return name
        found = self.imports.get(name)
        if found is None:
            return name
        if not is_below(found.module, self.within):
            self.meanings[name, ".".join(filter(None, found))] = None
            return name
        target = _resolve(found.module, found.attribute, self.within) if found.attribute else None
        if target is None:
            return name  # a module of our own
        self.meanings[target[1] if isinstance(target, Symbol) else name, target] = None
        return target.name if isinstance(target, Symbol) else name

    def module_at(self, node: ast.expr) -> str | None:
        """The module of our own that ``a`` or ``a.b`` names."""
        if isinstance(node, ast.Attribute):
            outer = self.module_at(node.value)
            inner = f"{outer}.{node.attr}" if outer is not None else ""
        elif isinstance(node, ast.Name) and node.id in self.imports:
            inner = ".".join(filter(None, self.imports[node.id]))
        else:
            return None
        return inner if is_below(inner, self.within) and read_module(inner) is not None else None


def _is_text(node: ast.AST) -> bool:
    """A string that stands alone (a docstring, of a field too), or three dots."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, (str, type(...)))
    )


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


# --------------------------------------------------------------------------------------------
# modules


@dataclass(eq=False)
class Module:
    """The top level of a module."""

    name: str
    is_package: bool
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)
    """Statements that define nothing: they count wherever something of the module is used."""


@functools.cache
def read_module(name: str) -> Module | None:
    """A module as its source has it; None where there is no source."""
    file = source_of(name)
    if file is None:
        return None
    module = Module(name, file.name == "__init__.py")
    for statement in _parsed(file, file.stat().st_mtime_ns).body:
        if _is_text(statement) or _is_for_types(statement):
            continue
        bound = list(_bound(statement))
        for one in bound:
            module.definitions.setdefault(one, []).append(statement)
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            module.imports |= _imports(statement, module)
            if not bound and not isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)):
                module.effects.append(statement)
    return module


@functools.cache
def _parsed(file: Path, _changed_at: int) -> ast.Module:
    return ast.parse(file.read_bytes())


def source_of(module: str) -> Path | None:
    """The source file of a module, which is not imported for it; None where there is none."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
        return Path(origin) if origin and origin.endswith(".py") else None
    above, _, name = module.rpartition(".")
    package = source_of(above) if above else None
    if package is not None:
        for file in (package.parent / f"{name}.py", package.parent / name / "__init__.py"):
            if file.is_file():
                return file
    try:
        spec = importlib.util.find_spec(module)  # a package that is mapped from elsewhere
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _resolve(module: str, name: str, within: Sequence[str]) -> Meaning | None:
    """Where ``name`` of ``module`` is defined, through modules that pass it on.

    None for a module of our own: what is used of it says so itself.
    """
    while is_below(module, within):
        found = read_module(module)
        if found is None or name in found.definitions:
            return Symbol(module, name)
        passed_on = found.imports.get(name)
        if passed_on is None or passed_on.attribute is None or passed_on == (module, name):
            return None
        module, name = passed_on.module, passed_on.attribute
    return f"{module}.{name}"


def _imports(statement: ast.stmt, module: Module) -> dict[str, Import]:
    """The names that the import statements in a statement bind, at whatever depth."""
    found: dict[str, Import] = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                found[alias.asname or whole] = Import(whole, None)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            base = _absolute(node, module)
            found |= {a.asname or a.name: Import(base, a.name) for a in node.names}
    return found


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    """The module that ``from ... import`` names, the dots before it resolved."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*up, *filter(None, [node.module])])


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The top-level names that a statement defines or adds to."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
    elif isinstance(statement, (ast.If, ast.Try, ast.With, ast.For)):
        for below in ast.iter_child_nodes(statement):
            if isinstance(below, ast.stmt):
                yield from _bound(below)
