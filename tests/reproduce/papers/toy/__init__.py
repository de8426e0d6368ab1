"""A second paper: one part, one number of each kind, nothing else."""

from pathlib import Path

from rdbench.reproduce.paper import Paper, Part

PAPER = Paper(
    title="A Toy Paper",
    folder=Path(__file__).parent,
    parts=(Part("1", "One source", "paper", ("gaussian",), ("mixture_em",), rates=(0.5, 1.0)),),
    budget="quick",
)
