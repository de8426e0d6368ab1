"""What is measured: names of metrics, and the ones that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from benchmarks._cases import BANDS, CASES
from benchmarks._kernels import KERNELS
from benchmarks.gate.accuracy import Cell
from benchmarks.gate.errors import BadInput
from benchmarks.gate.kernels import START

LEFT_OUT = {("laplacian-d6", name) for name in ("beta_vae", "ebrd", "mixture_em", "nerd")}
"""The cells that cost the most, half of the whole, and scatter the most; ``--all`` has them."""


@dataclass(frozen=True)
class Selection:
    """The metrics of a run."""

    cells: tuple[Cell, ...]
    """The cells that have to be run for them."""
    metrics: frozenset[str]
    timed: tuple[str, ...]
    """Kernels and starts, in their order."""


def choose(only: str | None, everything: bool, accuracy: bool, times: bool) -> Selection:
    """The metrics whose names match one of the comma-separated globs anywhere.

    Raises:
        BadInput: nothing matches.
    """
    cells = [Cell(case, name) for case in CASES for name in case.estimators]
    if not everything and only is None:
        cells = [cell for cell in cells if (cell.case.name, cell.estimator) not in LEFT_OUT]
    timed = [f"kernel/{name}" for name in KERNELS] + [f"start/{name}" for name in START]
    names: list[str] = []
    for cell in cells:
        names += [cell.metric(band) for band in range(len(BANDS))] if accuracy else []
        names += [cell.fit] if times else []
    names += timed if times else []
    patterns = ["*"] if only is None else [f"*{glob.strip()}*" for glob in only.split(",")]
    wanted = frozenset(n for n in names if any(fnmatchcase(n, glob) for glob in patterns))
    if not wanted:
        raise BadInput(f"--only {only} matches no metric; valid: {_examples(names)}")
    return Selection(
        tuple(cell for cell in cells if wanted & _metrics(cell)),
        wanted,
        tuple(name for name in timed if name in wanted),
    )


def _metrics(cell: Cell) -> set[str]:
    return {cell.fit, *(cell.metric(band) for band in range(len(BANDS)))}


def _examples(names: Sequence[str]) -> str:
    """One name of each kind, and how many there are."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(name.partition("/")[0], []).append(name)
    parts = [f"{found[0]} ({len(found)} of {kind}/)" for kind, found in kinds.items()]
    return "a part or a glob of a name such as " + ", ".join(parts)
