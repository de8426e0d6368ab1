"""A definition as text: what it says, without what means nothing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

from rdbench.run.meaning.modules import (
    WHOLE,
    Import,
    Meaning,
    Module,
    Symbol,
    defines,
    imports_in,
    is_below,
    is_text,
    live,
    read_module,
    resolve,
)

_LEFT_OUT = frozenset({"ctx", "kind", "type_comment", "type_params", "returns", "type_ignores"})
_FOR_CHECKERS = ("overload", "final", "override")
_INFO = Symbol("rdbench.types.estimator", "EstimatorInfo")
_WORDS = frozenset({"summary", "citation", "preset_notes", "colour", "marker"})


class Writer:
    """Writes syntax trees the same in every version of Python, and notes what their names mean.

    Docstrings, annotations, imports, ``pass`` and the words of an `EstimatorInfo` are left out. A
    name stands as it is called where it is defined.
    """

    def __init__(
        self, module: Module, statements: Sequence[ast.stmt], within: Sequence[str]
    ) -> None:
        """For statements of a module; ``within`` are the packages whose code is followed."""
        self.module = module
        self.within = within
        self.meanings: dict[tuple[str, Meaning], None] = {}
        self._imports: dict[str, list[Import]] = {k: [*v] for k, v in module.imports.items()}
        for statement in statements:
            for name, found in imports_in(statement, module):
                self._imports.setdefault(name, []).append(found)
        self._in_class = False

    def write(self, node: Any) -> str:
        """The text of a node, a list of nodes, or a value."""
        if isinstance(node, list):
            if node and isinstance(node[0], ast.stmt):
                node = list(live(node))
            return "[" + ",".join(filter(None, map(self.write, node))) + "]"
        if not isinstance(node, ast.AST):
            return ascii(node)
        if is_text(node) or isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass)):
            return ""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return self._definition(node)
        if isinstance(node, ast.Name):
            return f"Name({self._named(node.id)})"
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.AnnAssign):
            return self._annotated(node)
        if isinstance(node, ast.JoinedStr):  # some versions add an empty text
            node = ast.JoinedStr([v for v in node.values if getattr(v, "value", None) != ""])
        if (
            isinstance(node, ast.Call)
            and _last(node.func) == _INFO.name
            and self._is_info(node.func)
        ):
            return self._fields(node, keywords=[k for k in node.keywords if k.arg not in _WORDS])
        return self._fields(node)

    def _fields(self, node: ast.AST, **changed: Any) -> str:
        left_out = _LEFT_OUT | {"annotation"} if isinstance(node, ast.arg) else _LEFT_OUT
        held = {**dict(ast.iter_fields(node)), **changed}
        parts = [
            f"{name}={self.write(value)}"
            for name, value in sorted(held.items())
            if name not in left_out and value not in (None, [])
        ]
        return f"{type(node).__name__}({','.join(parts)})"

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
        decorators = [_last(one) for one in node.decorator_list]
        if "overload" in decorators:
            return ""
        kept = [d for d in node.decorator_list if _last(d) not in _FOR_CHECKERS]
        outside, self._in_class = self._in_class, isinstance(node, ast.ClassDef)
        written = self._fields(node, decorator_list=kept)
        self._in_class = outside
        return written

    def _is_info(self, node: ast.expr) -> bool:
        """Whether a call makes an `EstimatorInfo`, whose words and looks change no number."""
        if _last(node) != _INFO.name:
            return False
        self.write(node)
        # Dotted names, where our own code is not followed.
        dotted = (".".join(_INFO), f"rdbench.types.{_INFO.name}")
        ours = (_INFO.name, _INFO) in self.meanings
        return ours or any((one, one) in self.meanings for one in dotted)

    def _annotated(self, node: ast.AnnAssign) -> str:
        """Of a class: that it has this field, and whether the class or the instance has it."""
        value = "" if node.value is None else self.write(node.value)
        if not self._in_class:
            return value and f"Assign(targets=[{self.write(node.target)}],value={value})"
        marks = [m for m in ("ClassVar", "InitVar") if m in ast.unparse(node.annotation)]
        return f"Field({self.write(node.target)},{marks},{value})"

    def _attribute(self, node: ast.Attribute) -> str:
        """``a.b``; where ``a`` is a module, what ``b`` stands for."""
        module = self._module_at(node.value)
        if module is not None:
            return f"Name({self._note(node.attr, resolve(module, node.attr, self.within))})"
        return f"Attribute({self.write(node.value)},{node.attr})"

    def _named(self, name: str) -> str:
        """The name under which a name's meaning is defined; a local name is itself."""
        found: list[Meaning] = []
        if name in self.module.definitions:
            found.append(Symbol(self.module.name, name))
        for module, attribute in self._imports.get(name, ()):
            if attribute is not None:
                found += resolve(module, attribute, self.within)
            else:
                found.append(Symbol(module, WHOLE) if is_below(module, self.within) else module)
        if not found:
            stars = [s for s in self.module.stars if defines(s, name, self.within)]
            found = [one for star in stars for one in resolve(star, name, self.within)]
        return self._note(name, found)

    def _note(self, name: str, found: Sequence[Meaning]) -> str:
        """Keep what a name stands for; the name to write."""
        names = []
        for meaning in found:
            at = meaning if isinstance(meaning, str) else meaning.name
            names.append(name if at == WHOLE else at)
            self.meanings[names[-1], meaning] = None
        return names[0] if len(set(names)) == 1 else name

    def _module_at(self, node: ast.expr) -> str | None:
        """The module that ``a`` or ``a.b`` names, of our own or not."""
        if isinstance(node, ast.Attribute):
            outer = self._module_at(node.value)
            inner = f"{outer}.{node.attr}" if outer is not None else ""
            return inner if outer is not None and self._is_module(inner) else None
        if not isinstance(node, ast.Name) or node.id in self.module.definitions:
            return None
        found = {".".join(filter(None, one)) for one in self._imports.get(node.id, ())}
        only = found.pop() if len(found) == 1 else ""
        return only if only and self._is_module(only) else None

    def _is_module(self, name: str) -> bool:
        """Of other packages a dotted name is as good as a module."""
        if not is_below(name, self.within):
            return True
        above, _, last = name.rpartition(".")
        there = read_module(above) if above else None
        if there is not None and last in there.definitions:
            return False
        return read_module(name) is not None or _is_folder(name)


def _last(node: ast.expr) -> str:
    """``b`` of ``a.b``."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_folder(module: str) -> bool:
    """Whether a module that is loaded is a package without a file of its own."""
    loaded = sys.modules.get(module)
    return loaded is not None and getattr(loaded, "__file__", None) is None
