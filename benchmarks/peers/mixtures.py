"""Our fit of a Gaussian mixture against scikit-learn's: ``python -m benchmarks.peers.mixtures``.

Both have the number of components that the source has, or eight where it is no mixture, and
20,000 draws; the fits are judged by 20,000 others. scikit-learn starts once, from k-means (its
default), or as often as ours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from sklearn.mixture import GaussianMixture as Peer
from torch import Generator, Tensor

from benchmarks.peers.tables import markdown, write
from rdbench import registry
from rdbench.inference.em import fit_mixture
from rdbench.types import Source

CASES = {
    ("planar", "paper-d2"): 3, ("multimodal", "eight-d10"): 8, ("multimodal", "eight-d50"): 8,
    ("planar", "banana-d2"): 8, ("heavy_tailed", "t5-d10"): 8, ("curved", "curved-d8"): 8,
}  # fmt: skip
_DRAWS, _STARTS, _SEEDS = 20_000, 30, (751, 752, 753)


@dataclass(frozen=True)
class Row:
    """One fit."""

    case: str
    seed: int
    method: str
    log_likelihood: float
    """Mean over fresh draws, nats."""
    cpu_s: float


def fits(case: str, source: Source, size: int, seed: int) -> Iterator[Row]:
    """Of one source with one seed."""
    generator = Generator().manual_seed(seed)
    x, fresh = (source.sample(_DRAWS, generator).double() for _ in range(2))
    contenders: dict[str, Callable[[], Callable[[], float]]] = {
        "rdbench": partial(_ours, x, fresh, size, generator),
        "scikit-learn, 1 start": partial(_theirs, x, fresh, size, seed, 1),
        f"scikit-learn, {_STARTS} starts": partial(_theirs, x, fresh, size, seed, _STARTS),
    }
    for method, fit in contenders.items():
        began = time.process_time()
        score = fit()
        spent = time.process_time() - began
        yield Row(case, seed, method, score(), spent)


def _ours(x: Tensor, fresh: Tensor, size: int, generator: Generator) -> Callable[[], float]:
    fitted = fit_mixture(x, size, generator, restarts=_STARTS)
    return lambda: float(fitted.log_prob(fresh).mean())


def _theirs(x: Tensor, fresh: Tensor, size: int, seed: int, starts: int) -> Callable[[], float]:
    fitted = Peer(size, n_init=starts, random_state=seed).fit(x.numpy())
    return lambda: float(fitted.score(fresh.numpy()))


def table(rows: Sequence[Row]) -> list[list[str]]:
    """Means over seeds: a line for each case and method."""
    lines = [["case", "method", "log likelihood (nats per draw)", "CPU s"]]
    for case, method in dict.fromkeys((row.case, row.method) for row in rows):
        own = [row for row in rows if (row.case, row.method) == (case, method)]
        score = mean(row.log_likelihood for row in own)
        lines.append([case, method, f"{score:.4f}", f"{mean(row.cpu_s for row in own):.2f}"])
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, and write ``mixtures.csv`` and ``mixtures.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/peers"))
    out: Path = parser.parse_args(arguments).out
    torch.set_num_threads(1)
    rows = []
    for (suite, case), size in CASES.items():
        named = {one.name: one for one in registry.load_suite(suite).cases()}
        source = named[case].problem.source
        for seed in _SEEDS:
            rows += list(fits(case, source, size, seed))
            print(
                *(f"{row.method}: {row.log_likelihood:.4f}, {row.cpu_s:.2f} s" for row in rows[-3:])
            )
    write(out / "mixtures.csv", Row, rows)
    (out / "mixtures.md").write_text(markdown(table(rows)) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
