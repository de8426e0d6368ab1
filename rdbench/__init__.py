"""Trustworthy benchmarks of rate-distortion estimators.

Conventions, without exception: rates in nats per source symbol, distortion summed over
dimensions, beta = -dR/dD >= 0 in nats per unit of distortion, and
gap = F(q) - F*(beta) with F(q) = -E log E_q exp(-beta rho) = R + beta D.
"""

from rdbench.version import __version__

__all__ = ["__version__"]
