"""A problem as plain values: what the file of a certificate says of its source and distortion."""

from __future__ import annotations

from typing import Any

import torch

from rdbench.distortions import TableDistortion
from rdbench.sources.banana import BananaSource
from rdbench.sources.beta import BetaSource
from rdbench.sources.digits import DigitsSource
from rdbench.sources.finite import FiniteSource, random_table
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.sources.sphere import NoisySphereSource
from rdbench.sources.student import StudentSource
from rdbench.sources.uniform import UniformSource
from rdbench.types import Distortion, Problem, Source

_PLANE = 2
_SEED = 20240607


def described(problem: Problem) -> dict[str, Any] | None:
    """Source and distortion, as docs/certificates.md describes the file.

    Returns:
        JSON values with all digits; None for a problem that the file has no words for.
    """
    source, distortion = _source(problem.source), _distortion(problem.distortion)
    if source is None or distortion is None:
        return None
    if (problem.alphabet is not None) != (source["family"] == "letters"):
        return None
    return {"source": source, "distortion": distortion}


def _source(source: Source) -> dict[str, Any] | None:
    match source:
        case GaussianMixture():
            parts = {"weights": source.weights, "means": source.means, "covariances": source.covs}
            return {"family": "gaussian_mixture", **{k: v.tolist() for k, v in parts.items()}}
        case LaplacianSource():
            return {"family": "laplacian", "loc": source.loc, "scale": source.scale}
        case UniformSource():
            return {"family": "uniform", "lo": source.lo, "hi": source.hi}
        case BetaSource():
            return {"family": "beta", "a": source.a, "b": source.b}
        case StudentSource():
            parameters = {name: getattr(source, name) for name in ("df", "dim", "loc", "scale")}
            return {"family": "student", **parameters}
        case NoisySphereSource():
            parameters = {name: getattr(source, name) for name in ("dim", "radius", "noise")}
            return {"family": "noisy_sphere", **parameters}
        case BananaSource():
            parameters = {name: getattr(source, name) for name in ("spread", "bend", "noise")}
            return {"family": "banana", **parameters}
        case DigitsSource() if source.dim <= _PLANE:
            return {"family": "points", "points": source.support.tolist()}
        case FiniteSource() if bool((source.pmf == source.pmf[0]).all()) and source.dim == 1:
            numbered = torch.arange(len(source.pmf)).to(source.support)[:, None]
            if torch.equal(source.support, numbered):
                return {"family": "letters", "count": len(source.pmf)}
    return None


def _distortion(distortion: Distortion) -> dict[str, Any] | None:
    if isinstance(distortion, TableDistortion):
        rows, columns = distortion.table.shape
        if torch.equal(distortion.table, random_table(rows, columns, _SEED)):
            return {"name": "random_table", "seed": _SEED, "rows": rows, "columns": columns}
        return None
    known = distortion.name in ("squared_error", "absolute_error")
    return {"name": distortion.name} if known else None
