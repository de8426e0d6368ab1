"""Two statements of the EBRD paper that no record can answer, run as experiments and kept.

Theorem 1 (`theorem`) and the limit beta -> infinity of section III-B (`limit`). Each is kept in
``experiments.json`` as soon as it is done, under a digest of the code that it depends on and of the
seed; changed code runs again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pandas as pd

from rdbench.paper import experiments_findings
from rdbench.paper import limit as limit_module
from rdbench.paper import theorem as theorem_module
from rdbench.paper.limit import Limit, run_limit
from rdbench.paper.theorem import Theorem, run_theorem
from rdbench.report import export
from rdbench.run.seeds import digest
from rdbench.types import RdbenchError

FILE = "experiments.json"
_CODE = {
    "theorem": ("theorem.py", "theorem_atoms.py", "theorem_bounds.py"),
    "limit": ("limit.py", "limit_grid.py"),
}

Result = TypeVar("Result", Theorem, Limit)


class _Unwritable(RdbenchError):
    """What was computed cannot be kept."""


@dataclass(frozen=True)
class Experiments:
    """Both experiments."""

    theorem: Theorem
    limit: Limit


def run_experiments(
    folder: Path,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
    *,
    warn: Callable[[str], None] = lambda _: None,
    theorem: theorem_module.Effort | None = None,
    limit: limit_module.Effort | None = None,
) -> Experiments:
    """Both experiments, from ``folder/experiments.json`` where it holds them.

    Args:
        folder: where they are kept; made if need be.
        seed: of all draws and initial weights.
        tell: hears one line per piece of work, nothing for what is read.
        warn: hears why a result cannot be kept; it is returned all the same.
        theorem: how much of Theorem 1 is run.
        limit: how much of beta -> infinity is run.
    """
    theorem_effort = theorem or theorem_module.Effort()
    limit_effort = limit or limit_module.Effort()
    return Experiments(
        _kept(folder, "theorem", Theorem, [seed, theorem_effort],
              lambda: run_theorem(seed, theorem_effort, tell), warn),
        _kept(folder, "limit", Limit, [seed, limit_effort],
              lambda: run_limit(seed, limit_effort, tell), warn),
    )  # fmt: skip


def missing(folder: Path, seed: int = 0) -> tuple[str, ...]:
    """The names of the experiments that would run."""
    held = _read(folder)
    asked = {"theorem": theorem_module.Effort(), "limit": limit_module.Effort()}
    keys = {name: _key(name, [seed, effort]) for name, effort in asked.items()}
    return tuple(name for name in keys if held.get(name, {}).get("key") != keys[name])


def save(found: Experiments, out: Path, units: str = "nats") -> list[Path]:
    """Draw both figures and write their rows; CSV is in nats whatever ``units`` says.

    Returns:
        figure-theorem-1 and figure-limit as PDF, PNG, SVG and CSV; beside them the floors and the
        prices of Theorem 1, and the densities of the limit, as CSV.

    Raises:
        RdbenchError: an unknown unit, or a folder that cannot be written.
    """
    from rdbench.paper.limit_figure import limit_figure  # here: drawing is slow to load
    from rdbench.paper.theorem_figure import theorem_figure
    from rdbench.report import style

    with style.house_style(style.PRINT_SIZE):
        paths = style.save(theorem_figure(found.theorem, units), out, "figure-theorem-1")
        paths += style.save(limit_figure(found.limit, units), out, "figure-limit")
    tables: dict[str, Sequence[Any]] = {
        "figure-theorem-1": found.theorem.plug_in,
        "figure-theorem-1-floors": found.theorem.floors,
        "figure-theorem-1-price": found.theorem.needed,
        "figure-limit": found.limit.learned,
        "figure-limit-densities": found.limit.densities,
    }
    for stem, rows in tables.items():
        path = out / f"{stem}.csv"
        export.write(pd.DataFrame(msgspec.to_builtins(list(rows))), "csv", path)
        paths.append(path)
    return paths


def findings(found: Experiments) -> list[str]:
    """One sentence per statement with its numbers and a verdict, for a page of findings."""
    return [
        *experiments_findings.of_theorem(found.theorem),
        *experiments_findings.of_limit(found.limit),
    ]


def _kept(
    folder: Path,
    name: str,
    kind: type[Result],
    question: list[Any],
    run: Callable[[], Result],
    warn: Callable[[str], None],
) -> Result:
    key = _key(name, question)
    entry = _read(folder).get(name, {})
    if entry.get("key") == key:
        try:
            return msgspec.convert(entry["rows"], kind)
        except (KeyError, msgspec.ValidationError):
            pass  # written by hand or torn: run again
    result: Result | None = None
    try:
        _write(folder, _read(folder))  # cannot be written? say so before minutes of work
        result = run()
        _write(folder, _read(folder) | {name: {"key": key, "rows": msgspec.to_builtins(result)}})
    except _Unwritable as problem:
        warn(f"{problem}; experiment {name} will run again next time")
    return run() if result is None else result


def _key(name: str, question: list[Any]) -> str:
    here = Path(__file__).parent
    code = [hashlib.sha256((here / file).read_bytes()).hexdigest() for file in _CODE[name]]
    return digest([name, code, msgspec.to_builtins(question)])


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    """What is kept; nothing where there is no readable file."""
    try:
        held = msgspec.json.decode((folder / FILE).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return {}
    return {name: entry for name, entry in held.items() if isinstance(entry, dict)}


def _write(folder: Path, held: dict[str, Any]) -> None:
    """The whole file or none.

    Raises:
        _Unwritable: it cannot be written.
    """
    part = folder / f".{FILE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(msgspec.json.encode(held))
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / FILE)
    except OSError as error:
        raise _Unwritable(f"cannot write {folder / FILE}: {error.strerror or error}") from error
