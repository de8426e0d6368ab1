"""The cases that asv and the gate watch: three rates each, through the command line.

The command line is the one interface that all commits share, so that the same measurement can be
made of an old commit and of a new one. Nothing of rdbench is imported here.
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BANDS = ("low", "middle", "high")


def modules(folder: Path) -> set[str]:
    """The names in ``estimators`` or ``suites``: each is a file, or a folder with its parts."""
    files = (path.stem for path in folder.glob("[!_]*.py"))
    return {*files, *(path.parent.name for path in folder.glob("[!_]*/__init__.py"))}


ESTIMATORS = tuple(sorted(modules(Path(__file__).resolve().parents[1] / "estimators")))
"""Every built-in estimator: a new one is watched as soon as it is there."""
ONLY = {"blahut_arimoto": ("laplacian-squared", "paper-d2", "random-500")}
"""The cases of an estimator that does not answer all of the continuous ones, and those alone."""


@dataclass(frozen=True)
class Case:
    """A case of a suite and one rate of its ladder for each band.

    The rates lie on the ladder whose truth is shipped; any other may take minutes to certify.
    """

    suite: str
    name: str
    rates: tuple[float, float, float]
    """Nats per symbol: low, middle, high."""
    dim: int | None = None
    """The value of ``--dims``, for suites that take it."""
    finite: bool = False
    """Whether the source is finite: run only by the estimators that `ONLY` names for it."""

    @property
    def estimators(self) -> tuple[str, ...]:
        """Who is asked to answer it."""
        return tuple(
            name
            for name in ESTIMATORS
            if self.name in ONLY.get(name, () if self.finite else (self.name,))
        )


CASES = (
    Case("scalar", "laplacian-squared", (0.1392, 0.6466, 1.8)),
    Case("planar", "paper-d2", (0.324, 1.87, 5.562)),
    Case("vector_gaussian", "ramp-d5", (0.8743, 3.058, 10.69), dim=5),
    Case("high_dimensional", "laplacian-d6", (0.8352, 2.325, 10.8), dim=6),
    Case("discrete", "random-500", (0.2869, 0.8231, 2.362), finite=True),
)


class CaseFailed(RuntimeError):
    """The command line ended with an error, or without the rows that were asked for."""


def pinned(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment with one thread for every library that has threads."""
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {**environ, **dict.fromkeys(one, "1")}


def pin() -> None:
    """Give this process one thread; has to come before NumPy is imported."""
    os.environ.update(pinned())


def call(
    python: str, arguments: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None
) -> str:
    """The output of ``python -P -m rdbench ARGUMENTS``, run in ``folder``."""
    done = subprocess.run(
        [python, "-P", "-m", "rdbench", *arguments],
        cwd=folder,
        env=pinned(os.environ if environ is None else environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise CaseFailed(f"rdbench {' '.join(arguments)}: exit code {done.returncode}\n{tail}")
    return done.stdout


def run(
    python: str,
    case: Case,
    results: Path,
    *,
    seeds: Sequence[int] = (0,),
    estimators: Sequence[str] | None = None,
    trace: bool = False,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run a case's estimators at its three rates, quick budget, into a results folder.

    Args:
        python: the interpreter.
        case: the case.
        results: the folder; cells that it holds are not run again.
        seeds: each estimator is run with every one of them.
        estimators: some of the case's; without it, all.
        trace: whether fits are audited on the way as well.
        environ: the environment variables; without it, this process's.
    """
    arguments = ["run", "--suite", case.suite, "--cases", case.name, "--budget", "quick"]
    arguments += ["--rates", ",".join(map(str, case.rates)), "--seeds", ",".join(map(str, seeds))]
    arguments += ["--estimators", ",".join(estimators or case.estimators)]
    arguments += ["--dims", str(case.dim)] if case.dim else []
    arguments += ["--trace"] if trace else []
    call(python, [*arguments, "--results", str(results)], results.parent, environ)


def exported(
    python: str, results: Path, what: str = "points", environ: Mapping[str, str] | None = None
) -> list[dict[str, str]]:
    """The rows of ``rdbench export --what``: ``points``, ``cells`` or ``traces``."""
    arguments = ["export", "--results", str(results), "--format", "csv", "--what", what]
    return list(csv.DictReader(io.StringIO(call(python, arguments, results.parent, environ))))
