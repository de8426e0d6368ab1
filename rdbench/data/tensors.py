"""A torch tensor -> an array of its values, or a refusal that says why not."""

from __future__ import annotations

from numpy import ndarray
from torch import Tensor

from rdbench.outcomes import RdbenchError, one_line


def plain(tensor: Tensor, what: str) -> ndarray:
    """The values of a tensor; floating-point numbers of less than 32 bits become float32.

    Args:
        tensor: on any device, with a gradient or without.
        what: how messages call it.

    Raises:
        RdbenchError: it is sparse, quantised, nested or without values.
    """
    if tensor.is_sparse or tensor.is_quantized or tensor.is_nested or tensor.is_meta:
        raise RdbenchError(
            f"{what}: sparse, quantised and nested tensors are not read; give a dense one"
        )
    try:
        here = tensor.detach().cpu().resolve_conj().resolve_neg()
        if here.is_floating_point() and here.element_size() < 4:
            here = here.float()
        found: ndarray = here.numpy()
    except (TypeError, RuntimeError) as problem:
        raise RdbenchError(f"{what} is no dense tensor of numbers: {one_line(problem)}") from None
    return found
