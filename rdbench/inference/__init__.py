"""Numerical parts with two users or more: solvers, mixtures, Langevin samplers, networks."""
