"""Trustworthy benchmarks of rate-distortion estimators.

Conventions, without exception: rates in nats per source symbol, distortion summed over
dimensions, beta = -dR/dD >= 0 in nats per unit of distortion, and
gap = F(q) - F*(beta) with F(q) = -E log E_q exp(-beta rho) = R + beta D.

    import rdbench as rd

    curve = rd.estimate(x, distortion="squared_error", rates=[1, 2, 4])
    curve.upper
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdbench.version import __version__

if TYPE_CHECKING:
    from rdbench.api import estimate, load, run
    from rdbench.curve import Curve
    from rdbench.outcomes import RdbenchError

__all__ = ["Curve", "RdbenchError", "__version__", "estimate", "load", "run"]

_WHERE = {
    "Curve": "rdbench.curve",
    "RdbenchError": "rdbench.outcomes",
    "estimate": "rdbench.api",
    "load": "rdbench.api",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first used: torch takes seconds.

    ``rdbench.run`` is a package, too, which can be called.
    """
    from importlib import import_module

    if name == "run":
        return import_module("rdbench.run")
    if name not in _WHERE:
        raise AttributeError(f"module 'rdbench' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
