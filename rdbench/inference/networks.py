"""Small networks, one per slope, evaluated as one batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

Batched = TypeVar("Batched", bound=torch.nn.Module)


def items(module: Batched, rows: Sequence[int]) -> Batched:
    """Copies of some items of a module whose parameters and buffers have a leading batch axis."""
    found = copy.deepcopy(module)
    for part in found.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            setattr(part, name, torch.nn.Parameter(weight.detach()[list(rows)]))
        for name, value in list(part.named_buffers(recurse=False)):
            setattr(part, name, value[list(rows)])
    return found


def single(module: Batched, index: int) -> Batched:
    """One item of such a module, frozen."""
    return items(module, [index]).requires_grad_(False)


class BatchedMLP(torch.nn.Module):
    """B independent perceptrons f_b: R^d -> R with two SiLU layers of width ``hidden``.

    They start from the same weights, so that differences between slopes are not initialisation
    noise. The gradient in the input is written out: Langevin steps need it far more often than
    the gradient in the weights, and autograd would cost about twice as much.
    """

    def __init__(
        self, batch: int, dim: int, hidden: int, generator: Generator, output_scale: float = 0.01
    ) -> None:
        super().__init__()
        dev = generator.device

        def start(rows: int, columns: int, std: float) -> torch.nn.Parameter:
            w = std * torch.randn(1, rows, columns, generator=generator, device=dev)
            return torch.nn.Parameter(w.repeat(batch, 1, 1))

        self.w1 = start(dim, hidden, 1.5 / math.sqrt(dim))
        self.b1 = start(1, hidden, 1.0)
        self.w2 = start(hidden, hidden, 1.0 / math.sqrt(hidden))
        self.b2 = start(1, hidden, 0.1)
        self.w3 = start(hidden, 1, output_scale / math.sqrt(hidden))

    def forward(self, y: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """f_b(y)."""
        h = torch.nn.functional.silu(torch.baddbmm(self.b1, y, self.w1))
        h = torch.nn.functional.silu(torch.baddbmm(self.b2, h, self.w2))
        return torch.bmm(h, self.w3).squeeze(-1)

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "B n d"]
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n d"]]:
        """f_b(y) and its gradient in y."""
        a = torch.baddbmm(self.b1, y, self.w1)
        slope1 = torch.sigmoid(a)
        h = a * slope1
        slope1.add_(h * (1.0 - slope1))  # the derivative of SiLU
        a = torch.baddbmm(self.b2, h, self.w2)
        slope2 = torch.sigmoid(a)
        h = a * slope2
        value = torch.bmm(h, self.w3).squeeze(-1)
        slope2.add_(h * (1.0 - slope2)).mul_(self.w3.transpose(1, 2))
        grad = torch.bmm(slope2, self.w2.transpose(1, 2)).mul_(slope1)
        return value, torch.bmm(grad, self.w1.transpose(1, 2))
