"""Do a GPU and a CPU give the same rows, and which is faster? One script, for where a GPU is.

``python -m benchmarks.gpu --out results/gpu`` runs a few estimators on both, compares their rows,
times one rate at d = 10, 100 and 1000, runs a cell that asks for more memory than the device has,
and writes ``README.md``. Exit code 0 where all agrees, 1 where something does not, 2 without a
device.

Generators of a CPU and of a GPU draw other numbers, so rows agree as two seeds do: a gap may differ
by the doubts of both and a tolerance in nats.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rdbench.run.reading import load
from rdbench.run.records import CellRecord, PointRecord

DEVICES = ("cpu", "cuda")
CHECKED = "ebrd,nerd,wgd,mixture_em,blahut_arimoto:structured,beta_vae,csiszar_dual"
TIMED = "wgd,nerd,ebrd,mixture_em"
DIMS = (10, 100, 1000)
_GREEDY = '''
"""Asks for more memory than a device has."""
from dataclasses import dataclass
from typing import ClassVar

import torch

from rdbench.types import EstimatorInfo


@dataclass(frozen=True)
class Greedy:
    info: ClassVar[EstimatorInfo] = EstimatorInfo(summary="greedy", citation="none")

    def fit(self, view, betas, generator, monitor):
        yield torch.empty(1 << 44, dtype=torch.uint8, device=generator.device)
'''


@dataclass(frozen=True)
class Compared:
    """One row on both devices."""

    case: str
    estimator: str
    rate: float | None
    cpu: PointRecord
    cuda: PointRecord

    def fault(self, tolerance: float) -> str:
        """What does not agree; empty where all does.

        Args:
            tolerance: nats by which gaps may differ beyond their intervals.
        """
        if self.cpu.status != self.cuda.status:
            return f"{self.cpu.status} on the CPU, {self.cuda.status} on the GPU"
        if self.cpu.truth_lo != self.cuda.truth_lo:
            return f"the truth is {self.cpu.truth_lo} and {self.cuda.truth_lo}"
        ends = [(one.gap_lo, one.gap_hi) for one in (self.cpu, self.cuda)]
        (low, high), (lower, higher) = ends
        if low is None or high is None or lower is None or higher is None:
            return ""
        if low > higher + tolerance or lower > high + tolerance:
            return f"gap [{low:.3g}, {high:.3g}] on the CPU, [{lower:.3g}, {higher:.3g}] on the GPU"
        return ""


def run(results: Path, device: str, *more: str, timeout: float) -> int:
    """One command of ours; its exit code."""
    own = ("--results", str(results), "--device", device, "--timeout", f"{timeout:g}")
    command = [sys.executable, "-m", "rdbench", "run", *more, *own, "--budget", "quick"]
    print("+", " ".join(command[1:]), flush=True)
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode


def records(results: Path) -> list[CellRecord]:
    """Those of a folder, or none."""
    return list(load(results).records.values()) if (results / "records.jsonl").exists() else []


def compared(cpu: Sequence[CellRecord], cuda: Sequence[CellRecord]) -> list[Compared]:
    """The rows that both have."""
    found = {(r.case, r.estimator, r.preset): r for r in cpu}
    pairs = []
    for theirs in cuda:
        ours = found.get((theirs.case, theirs.estimator, theirs.preset))
        for a, b in zip(ours.points if ours else (), theirs.points, strict=False):
            name = (
                theirs.estimator
                if theirs.preset == "default"
                else (f"{theirs.estimator}:{theirs.preset}")
            )
            pairs.append(Compared(theirs.case, name, a.target_rate, a, b))
    return pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it all; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/gpu"))
    parser.add_argument("--tolerance", type=float, default=0.02, help="nats; default .02")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds of a timed fit")
    given = parser.parse_args(arguments)
    import torch

    if not torch.cuda.is_available():
        print("benchmarks.gpu: torch finds no CUDA device here; nothing was run", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        text, good = _all(Path(folder), given.tolerance, given.timeout)
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "README.md").write_text(text)
    return 0 if good else 1


def _all(folder: Path, tolerance: float, timeout: float) -> tuple[str, bool]:
    import torch

    for device in DEVICES:
        common = ("--estimators", CHECKED, "--seeds", "0")
        run(folder / device, device, "--suite", "vector_gaussian", "--dims", "2,5", *common,
            timeout=600.0)  # fmt: skip
        run(folder / device, device, "--suite", "planar", "--cases", "banana-d2", *common,
            timeout=600.0)  # fmt: skip
        for dim in DIMS:
            run(folder / f"timed-{device}", device, "--suite", "vector_gaussian", "--dims",
                str(dim), "--rates", "2", "--estimators", TIMED, timeout=timeout)  # fmt: skip
    greedy = folder / "greedy.py"
    greedy.write_text(_GREEDY)
    run(folder / "greedy", "cuda", "--suite", "vector_gaussian", "--dims", "2", "--estimators",
        f"{greedy}:Greedy", timeout=60.0)  # fmt: skip
    pairs = compared(records(folder / "cpu"), records(folder / "cuda"))
    faults = [(one, said) for one in pairs if (said := one.fault(tolerance))]
    hungry = [record.status for record in records(folder / "greedy")]
    lines = [
        "# CPU and GPU",
        "",
        f"`python -m benchmarks.gpu` on {torch.cuda.get_device_name()}, torch {torch.__version__}.",
        "",
        f"{len(pairs)} rows were compared; {len(faults)} do not agree within their intervals and "
        f"{tolerance:g} nats.",
        "",
        *(f"- {one.case}, {one.estimator} at R = {one.rate}: {said}" for one, said in faults),
        *([""] if faults else []),
        f"A cell that asks for 16 TiB on the device: {', '.join(hungry) or 'no record'}.",
        "",
        "Wall seconds of the fit at one rate, R = 2:",
        "",
        "| d | estimator | CPU | GPU |",
        "|---|---|---|---|",
        *_times(records(folder / "timed-cpu"), records(folder / "timed-cuda")),
    ]
    return "\n".join(lines) + "\n", bool(pairs) and not faults and hungry == ["out_of_memory"]


def _times(cpu: Sequence[CellRecord], cuda: Sequence[CellRecord]) -> list[str]:
    found = {(r.dim, r.estimator): [_told(r), "no record"] for r in cpu}
    for record in cuda:
        found.setdefault((record.dim, record.estimator), ["no record", ""])[1] = _told(record)
    return [
        f"| {dim} | {name} | {' | '.join(told)} |" for (dim, name), told in sorted(found.items())
    ]


def _told(record: CellRecord) -> str:
    wall = record.cost.wall_s
    return record.status if record.status != "ok" or wall is None else f"{wall:.2f}"


if __name__ == "__main__":
    sys.exit(main())
