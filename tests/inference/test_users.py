"""A module of rdbench.inference has two users or more; what one alone uses lies beside it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = "rdbench.inference."
# Layers that may not import an estimator: for them there is no other place than below.
LOWER = {"certify", "references", "audit"}


def _imported(file: Path) -> set[str]:
    """The modules of rdbench.inference that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {n.removeprefix(PARTS).split(".")[0] for n in names if n.startswith(PARTS)}
    return found


def _users() -> dict[str, set[str]]:
    """Module -> estimators and packages that import it, themselves or through another module."""
    folder = ROOT / "rdbench" / "inference"
    direct: dict[str, set[str]] = {m.stem: set() for m in folder.glob("*.py") if m.stem[0] != "_"}
    for top in ("rdbench", "estimators", "papers"):
        for file in (ROOT / top).rglob("*.py"):
            user = file.relative_to(ROOT / top).parts[0].removesuffix(".py")
            if user not in ("inference", "estimators", "suites"):
                for module in _imported(file):
                    direct[module].add(user)
    within = {name: _imported(folder / f"{name}.py") for name in direct}
    for _ in within:  # as often as the longest chain could be long
        for name, needed in within.items():
            for module in needed:
                direct[module] |= direct[name]
    return direct


@pytest.mark.parametrize(("module", "users"), sorted(_users().items()))
def test_two_users_or_a_lower_layer(module: str, users: set[str]) -> None:
    assert len(users) > 1 or users & LOWER, f"{module} is used by {', '.join(users) or 'nobody'}"
