"""The top level of a module, read from its source without running it."""

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

WHOLE = "*"
"""As a name: everything in a module."""
IMPORTED = ""
"""As a name: what importing a module does beside defining names."""

_NEVER_RUN = ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'")
_ALWAYS_RUN = tuple(f"not {test}" for test in _NEVER_RUN[:2])
_DEFINE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_OWN_SCOPE = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Symbol(NamedTuple):
    """A top-level name of a module."""

    module: str
    name: str


class Import(NamedTuple):
    """What an imported name stands for: a module, or something in it."""

    module: str
    attribute: str | None


Meaning = Symbol | str
"""A definition of our own; of other packages the dotted name."""


@dataclass(eq=False)
class Module:
    """What a module defines, imports and does."""

    name: str
    is_package: bool = False
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    """Every meaning that a name has somewhere at the top level."""
    stars: list[str] = field(default_factory=list)
    """Modules of which all names are imported."""
    effects: list[ast.stmt] = field(default_factory=list)
    """Statements that do more than define names."""
    unreadable: str = ""
    """The digest of the file, where it cannot be parsed."""

    @property
    def imported(self) -> Iterator[str]:
        """The modules that are imported with this one, those passed on by name included."""
        yield from self.stars
        for found in self.imports.values():
            for module, attribute in found:
                yield module
                if attribute is not None:
                    yield f"{module}.{attribute}"
        yield from (self.name.rpartition(".")[0],)


def is_below(module: str, packages: Sequence[str]) -> bool:
    """Whether a module is one of the packages, or in one."""
    return any(module == one or module.startswith(one + ".") for one in packages)


@functools.cache
def read_module(name: str) -> Module | None:
    """A module as its source has it; None where there is no source."""
    file = source_of(name)
    if file is None:
        return None
    module = Module(name, file.name == "__init__.py")
    try:
        body = parsed(file, file.stat().st_mtime_ns).body
    except (SyntaxError, ValueError, RecursionError):
        module.unreadable = hashlib.sha256(file.read_bytes()).hexdigest()
        return module
    for statement in live(body):
        _take(statement, module)
    return module


def _take(statement: ast.stmt, module: Module) -> None:
    if is_text(statement) or isinstance(statement, ast.Pass):
        return
    bound = [] if _writes_into_import(statement, module) else list(dict.fromkeys(_bound(statement)))
    for name in bound:
        module.definitions.setdefault(name, []).append(statement)
    if isinstance(statement, _DEFINE):
        return
    for name, found in imports_in(statement, module):
        module.imports.setdefault(name, []).append(found)
    module.stars += _stars(statement, module)
    if _acts(statement) or not (bound or isinstance(statement, (ast.Import, ast.ImportFrom))):
        module.effects.append(statement)


@functools.cache
def parsed(file: Path, _changed_at: int) -> ast.Module:
    """The tree of a file as it was at that time."""
    return ast.parse(file.read_bytes())


def source_of(module: str) -> Path | None:
    """The source file of a module, which is not imported for it; None where there is none."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return _python(getattr(loaded, "__file__", None))
    above, _, name = module.rpartition(".")
    package = source_of(above) if above else None
    if package is not None:
        for file in (package.parent / f"{name}.py", package.parent / name / "__init__.py"):
            if package.name == "__init__.py" and file.is_file():
                return file
    if above and above not in sys.modules:
        return None  # to find more would run the package
    try:
        spec = importlib.util.find_spec(module)  # a package that is mapped from elsewhere
    except (ImportError, ValueError, AttributeError):
        return None
    return _python(spec.origin) if spec is not None else None


def _python(file: str | None) -> Path | None:
    return Path(file) if file and file.endswith(".py") and Path(file).is_file() else None


def resolve(module: str, name: str, within: Sequence[str]) -> list[Meaning]:
    """What ``name`` of ``module`` stands for, through modules that pass it on.

    What is not found (made when the module runs, or asked for by ``getattr``) is the whole module.
    """
    out: list[Meaning] = []
    seen: set[tuple[str, str]] = set()
    waiting = [(module, name)]
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        module, name = at
        if not is_below(module, within):
            out.append(f"{module}.{name}")
            continue
        found = read_module(module)
        passed_on = [] if found is None else found.imports.get(name, [])
        if found is not None and name in found.definitions:
            out.append(Symbol(module, name))
        for other, attribute in passed_on:
            if attribute is not None:
                waiting.append((other, attribute))
            else:
                out.append(Symbol(other, WHOLE) if is_below(other, within) else other)
        if not passed_on and (found is None or name not in found.definitions):
            inner = f"{module}.{name}"
            stars = [] if found is None else [s for s in found.stars if defines(s, name, within)]
            if stars:
                waiting += [(star, name) for star in stars]
            else:
                out.append(Symbol(inner if read_module(inner) else module, WHOLE))
    return out


def defines(module: str, name: str, within: Sequence[str]) -> bool:
    """Whether a module of our own has a name, itself or by a star."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        one = waiting.pop()
        found = read_module(one) if is_below(one, within) and one not in seen else None
        seen.add(one)
        if found is not None:
            if name in found.definitions or name in found.imports:
                return True
            waiting += found.stars
    return False


def live(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported: none for type checkers or scripts."""
    for statement in statements:
        test = ast.unparse(statement.test) if isinstance(statement, ast.If) else ""
        if isinstance(statement, ast.If) and test in _NEVER_RUN:
            yield from live(statement.orelse)
        elif isinstance(statement, ast.If) and test in _ALWAYS_RUN:
            yield from live(statement.body)
        else:
            yield statement


def is_text(node: ast.AST) -> bool:
    """A string that stands alone (a docstring, of a field too), or three dots."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, (str, type(...)))
    )


def imports_in(statement: ast.AST, module: Module) -> Iterator[tuple[str, Import]]:
    """The names that the import statements in a statement bind, at whatever depth."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or whole, Import(whole, None)
                if whole != alias.name:  # import a.b: a is bound, and a.b runs
                    yield alias.name, Import(alias.name, None)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            base = _absolute(node, module)
            for alias in node.names:
                if alias.name != "*":
                    yield alias.asname or alias.name, Import(base, alias.name)


def _stars(statement: ast.AST, module: Module) -> list[str]:
    return [
        _absolute(node, module)
        for node in ast.walk(statement)
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ]


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    """The module that ``from ... import`` names, the dots before it resolved."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*up, *filter(None, [node.module])])


def _bound(node: ast.AST) -> Iterator[str]:
    """The top-level names that a statement defines or adds to, at whatever depth."""
    if isinstance(node, _DEFINE):
        yield node.name
        for decorator in node.decorator_list:  # @general.register adds to general
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(call, ast.Attribute) and call.attr == "register":
                yield from (n.id for n in ast.walk(call) if isinstance(n, ast.Name))
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
        if node.value is not None:
            yield from _bound(node.value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif not isinstance(node, _OWN_SCOPE):
        for below in ast.iter_child_nodes(node):
            yield from _bound(below)


def _acts(statement: ast.stmt) -> bool:
    """Whether a statement at the top level does more than bind names."""
    return isinstance(
        statement, (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.Match)
    ) and any(
        isinstance(node, (ast.Expr, ast.Raise, ast.For, ast.While)) and not is_text(node)
        for node in ast.walk(statement)
    )


def _writes_into_import(statement: ast.stmt, module: Module) -> bool:
    """``other.K = 5``, where ``other`` is imported."""
    targets: list[Any] = getattr(statement, "targets", [getattr(statement, "target", None)])
    heads = [
        node.id
        for target in targets
        if isinstance(target, (ast.Attribute, ast.Subscript))
        for node in ast.walk(target)
        if isinstance(node, ast.Name)
    ]
    return any(name in module.imports and name not in module.definitions for name in heads)
