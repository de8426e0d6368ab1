"""Certified values of the built-in cases, one JSON file each; `make references` computes them."""
