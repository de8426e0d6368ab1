"""Run the authors' settings and ours on the same cases, as far as it is missing.

    python -m benchmarks.peers.run [--records rdbench-results/peers] [--only GLOB]

Each fit is one ``rdbench run``, printed before it starts; one thread, one job. All matches are run
at the first seed before any is at the second. `table` makes the tables.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks._cases import pin

RECORDS = Path("rdbench-results/peers")
SEEDS = (701, 702, 703)
"""They served for no decision."""
SIDES = ("authors", "ours")
STEPS = {"wgd": 10_000, "nerd": 5_000, "beta_vae": 80_000}
"""Gradient steps that the authors' settings make where nothing stops them."""


@dataclass(frozen=True)
class Match:
    """One estimator on one slope of one case, from a cold start."""

    estimator: str
    suite: str
    case: str
    slope: tuple[str, str]
    """The option that sets it, ``--rates`` (nats) or ``--betas``, and its value."""
    seconds: int
    """Wall seconds after which the authors' settings are stopped; ours end by themselves."""
    dim: int | None = None
    """The value of ``--dims``, for suites that take it."""

    @property
    def name(self) -> str:
        """Tells the matches apart; also the name of a folder."""
        option, value = self.slope
        return f"{self.estimator}-{self.case}-{option.strip('-').rstrip('s')}{value}"

    def command(self, side: str, seed: int, results: Path) -> list[str]:
        """The arguments of ``rdbench`` for one fit of one side."""
        preset = {"authors": ":paper", "ours": ""}[side]
        words = ["run", "--suite", self.suite, "--cases", self.case]
        words += ["--dims", str(self.dim)] if self.dim else []
        words += [*self.slope, "--estimators", self.estimator + preset, "--seeds", str(seed)]
        words += ["--timeout", str(self.seconds)] if side == "authors" else []
        return [*words, "--trace", "--draws", "0", "--results", str(results)]


# Of each estimator a case near its authors' own first: WGD in the plane at beta = 5, NERD on its
# Gaussian vector, the variational bound on one where independent coordinates are no loss.
MATCHES = (
    Match("wgd", "planar", "paper-d2", ("--betas", "5"), 120),
    Match("wgd", "vector_gaussian", "ramp-d5", ("--rates", "3.058"), 100, 5),
    Match("nerd", "gaussian_spectra", "nerd-d20", ("--rates", "2.643"), 120, 20),
    Match("beta_vae", "gaussian_spectra", "flat-d10", ("--rates", "5"), 100, 10),
    Match("beta_vae", "high_dimensional", "laplacian-d6", ("--rates", "2.325"), 100, 6),
)


def main() -> int:
    """Exit code 0; 2 for bad input; 130 where interrupted."""
    pin()  # before NumPy is imported
    from rdbench.cli import main as rdbench

    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--only", default="*", help="a glob over the matches, as in 'wgd-*'")
    given = parser.parse_args()
    chosen = [match for match in MATCHES if fnmatchcase(match.name, given.only)]
    if not chosen:
        parser.error(f"--only {given.only!r} chooses none of {', '.join(m.name for m in MATCHES)}")
    for seed in SEEDS:
        for match in chosen:
            for side in SIDES:
                folder = given.records / match.name / side / str(seed)
                stored = folder / "records.jsonl"
                # rdbench would run again what was stopped by its timeout; here that is a result
                if stored.is_file() and stored.stat().st_size > 0:
                    continue
                command = match.command(side, seed, folder)
                print(f"== rdbench {shlex.join(command)}", flush=True)
                code = rdbench(command)
                if code not in (0, 1):  # 1: a fit failed or was stopped, which its record says
                    return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
