"""From plain words to a case: read, check, split, and name what it stands for."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from rdbench.data.facts import Facts, distinct, facts_of, most_rate
from rdbench.data.files import read
from rdbench.data.measures import alphabet_of, check_measure, measure, symbols
from rdbench.data.spec import SUITE, DataSpec
from rdbench.data.splitting import Parts, split_rows
from rdbench.data.table import Rows, without_groups
from rdbench.distortions import TableDistortion
from rdbench.outcomes import RdbenchError
from rdbench.references.certified import Certified
from rdbench.references.unknown import Unknown
from rdbench.sources.finite import FiniteSource
from rdbench.sources.sample import SampleSource
from rdbench.types import Case, Distortion, Problem, Reference, Suite

# Letters times words, up to which the truth of rows is certified: seconds at a slope.
_CERTIFIED = 40_000
_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class DataCase:
    """A case made of data, and what there is to say about them."""

    spec: DataSpec
    case: Case
    facts: Facts
    most_rate: float
    """Nats above which so many rows tell nothing of a population, or that the rows hold."""
    notes: tuple[str, ...]
    """What was read and how it is used, in sentences."""

    @property
    def suite(self) -> Suite:
        """The case as a suite of its own."""
        return Suite(SUITE, 1, f"{self.spec.title}: {self.title}", lambda _: (self.case,))

    @property
    def title(self) -> str:
        """What the numbers are of, in a few words."""
        return title_of(self.spec.of)


def title_of(of: str) -> str:
    """What the numbers are of, in a few words."""
    if of == "rows":
        return "R(D) of these rows, which are the source; sums are exact"
    return "R(D) of the population, of which the rows are a sample; audited on held-out rows"


def build(spec: DataSpec) -> DataCase:
    """The case of a specification, the same in every process.

    Raises:
        RdbenchError: the data cannot be a source, or have changed since the digest was taken.
    """
    distortion, of_measure = measure(spec.distortion)
    raw = read(Path(spec.path), spec.entry, spec.patches)
    rows = symbols(without_groups(raw, spec.groups), distortion)
    digest = _digest(rows, of_measure)
    if spec.digest and spec.digest != digest:
        raise RdbenchError(
            f"{spec.title} or its distortion has changed since the run was planned: start again"
        )
    spec = replace(spec, digest=digest)
    facts = facts_of(rows)
    notes = [*facts.lines(spec.title), *(f"{spec.title}: {one}" for one in raw.remarks)]
    words, which = alphabet_of(rows, distortion)
    check_measure(distortion, rows.x, words)
    if which:
        notes.append(f"reproductions are {which}")
    source: Any
    if spec.of == "rows":
        source = _finite(rows, distortion, spec)
        most = most_rate(len(source.support))
        notes.append(
            f"rows: these {facts.rows:,} rows are the source, every sum over them is exact, and "
            f"no rate is above log({len(source.support):,}) = {most:.3g} nats"
        )
    else:
        parts = split_rows(rows, digest, pictures=spec.patches is not None)
        source = _sample(rows, parts, digest, spec)
        most = most_rate(len(parts.training))
        notes += [*parts.lines(), _limit(len(parts.training), most)]
    problem = Problem(source, distortion, words)
    name = f"{Path(spec.path).stem}-{spec.of}-{digest[:6]}"
    case = Case(name, problem, _reference(problem), ())
    return DataCase(spec, case, facts, most, tuple(notes))


def _limit(count: int, most: float) -> str:
    return (
        f"{count:,} rows tell R(D) up to about log({count:,}) = {most:.3g} nats: above, what is "
        "found says more of the rows than of the population"
    )


def _digest(rows: Rows, of_measure: str) -> str:
    """Of the symbols, bit by bit, their groups, and the file of the distortion measure."""
    found = hashlib.sha256(repr((rows.x.shape, of_measure)).encode())
    found.update(np.ascontiguousarray(rows.x).data)
    if rows.groups is not None:
        found.update("\0".join(rows.groups.tolist()).encode())
    return found.hexdigest()


def _finite(rows: Rows, distortion: Distortion, spec: DataSpec) -> FiniteSource:
    points, counts = distinct(rows.x)
    if isinstance(distortion, TableDistortion):  # which wants a letter for each of its rows
        pmf: ndarray = np.zeros(len(distortion.table))
        pmf[points[:, 0].astype(int)] = counts
        points, counts = np.arange(len(pmf), dtype=float)[:, None], pmf
    law = torch.from_numpy(counts / counts.sum())
    return _Rows(f"the rows of {spec.title}", torch.from_numpy(points), law)


class _Rows(FiniteSource):
    """Rows that are the source; in a cell's identity their digest stands for them."""

    @functools.cached_property
    def content_digest(self) -> str:
        """Of points and probabilities."""
        found = hashlib.sha256(repr(tuple(self.support.shape)).encode())
        found.update(self.support.contiguous().numpy().data)
        found.update(self.pmf.contiguous().numpy().data)
        return found.hexdigest()


def _sample(rows: Rows, parts: Parts, digest: str, spec: DataSpec) -> SampleSource:
    groups = parts.held_out_groups
    return SampleSource(
        f"a sample, {spec.title}",
        torch.from_numpy(rows.x[parts.training]),
        torch.from_numpy(rows.x[parts.held_out]),
        hashlib.sha256(f"{digest} {parts.digest}".encode()).hexdigest(),
        None if groups is None else torch.from_numpy(groups),
    )


def _reference(problem: Problem) -> Reference:
    """Certificates for few letters that are the source; else nothing is known."""
    source, words = problem.source, problem.alphabet
    if not isinstance(source, FiniteSource) or words is None:
        return Unknown(why="data have no closed form")
    if len(source.support) * len(words) > _CERTIFIED:
        return Unknown(why="so many letters are not certified in passing")
    return Certified(problem, _TOLERANCE)
