"""Two-sided bounds on F*(beta): solvers, rigorous maxima, quadrature with its error.

Everything here is NumPy in float64; docs/certificates.md derives every bound and constant.
"""
