"""A source that is known by a sample of it: rows to train on, and rows held out for audits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from rdbench.arrays import array, converts, settle
from rdbench.types import RdbenchError


@converts
@dataclass(frozen=True, eq=False)
class SampleSource:
    """Independent rows of an unknown law, in two parts that never meet.

    Args:
        name: what it is called.
        training: the rows that estimators see (n, d).
        held_out: the rows that audits are on (m, d), in an order that has nothing to do with the
            values.
        content_digest: stands for the rows in a cell's identity.
        groups: for every held-out row the number of its group; None where rows are independent.

    Raises:
        RdbenchError: no finite points, of one dimension, in both parts; groups of another length.
    """

    name: str
    training: Float[Tensor, "n d"]
    held_out: Float[Tensor, "m d"]
    content_digest: str
    groups: Int[Tensor, " m"] | None = None

    def __post_init__(self) -> None:
        training = array(self.training, "the training rows", 2)
        held_out = array(self.held_out, "the held-out rows", 2)
        if training.shape[1] != held_out.shape[1]:
            raise RdbenchError(
                f"training rows have {training.shape[1]} columns, held-out rows {held_out.shape[1]}"
            )
        if self.groups is not None and len(self.groups) != len(held_out):
            raise RdbenchError(f"{len(held_out)} held-out rows have {len(self.groups)} groups")
        settle(self, training=training, held_out=held_out)

    @property
    def dim(self) -> int:
        """d."""
        return self.training.shape[1]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n of the training rows, with replacement: the held-out ones are for audits alone."""
        dev = generator.device
        picked = torch.randint(len(self.training), (n,), generator=generator, device=dev)
        return self.training.to(dev)[picked]
