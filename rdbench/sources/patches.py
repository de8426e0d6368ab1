"""Patches of pictures and of a height map that packages ship, in blocks: most to train on, some
held out for audits.

- ``photographs``: the two sample photographs of scikit-learn (427 by 640 pixels), "china.jpg" by
  danielbuechele and "flower.jpg" by vultilion, both under the licence Creative Commons Attribution
  2.0; grey (0.299 R + 0.587 G + 0.114 B) in [0, 1].
- ``elevation``: heights around Jacksboro, Tennessee, 344 by 403 points, 3 arc seconds apart, which
  matplotlib ships as "jacksboro_fault_dem.npz"; elevation data of the Shuttle Radar Topography
  Mission, in the public domain, says who contributed them (matplotlib, pull request 3291); in units
  of 100 m.

Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Generator, Tensor

from rdbench.arrays import converts, settle, whole
from rdbench.outcomes import unknown
from rdbench.types import RdbenchError

_MISSING = "photographs need scikit-learn: pip install 'rdbench[data]'"
# Package and file, and the SHA-256 of the file: another one would be another source.
_FILES = {
    "photographs": (
        ("sklearn.datasets.images", "china.jpg",
         "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"),
        ("sklearn.datasets.images", "flower.jpg",
         "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"),
    ),
    "elevation": (
        ("matplotlib", "mpl-data/sample_data/jacksboro_fault_dem.npz",
         "d493f50a33e82a4420494c54d1fca1539d177bdc27ab190bc5fe6e92f62fb637"),
    ),
}  # fmt: skip
_SIDE = {"photographs": 64, "elevation": 32}
"""Of a block, in pixels. No patch lies in two of them."""
_HELD_OUT = 5
"""One block in so many is held out."""


@converts
@dataclass(frozen=True)
class Patches:
    """Patches of ``height`` by ``width`` pixels, row by row one symbol.

    Neighbouring patches are alike, so blocks, not patches, are held out, and rows of different
    blocks alone count as independent. Which blocks is fixed by their numbers. Within a block a
    patch begins at every ``step``-th pixel, at most its own size. The data are read when they are
    first used.
    """

    data: Literal["photographs", "elevation"] = "photographs"
    height: int = 8
    width: int = 8
    step: int = 8

    def __post_init__(self) -> None:
        if self.data not in _FILES:
            raise unknown("set of pictures", self.data, _FILES)
        sizes = {name: whole(getattr(self, name), f"the {name} of a patch", 1)
                 for name in ("height", "width", "step")}  # fmt: skip
        settle(self, **sizes)
        side = _SIDE[self.data]
        if max(sizes.values()) > side:
            raise RdbenchError(f"patches of {self.data} have at most {side} by {side} pixels")

    @property
    def name(self) -> str:
        """The pictures and the size."""
        return f"{self.height} by {self.width} patches, {self.data}"

    @property
    def dim(self) -> int:
        """The pixels of a patch."""
        return self.height * self.width

    @property
    def training(self) -> Float[Tensor, "n d"]:
        """The patches of the blocks that estimators see.

        Raises:
            RdbenchError: the data are not installed, or other ones are.
        """
        return self._rows[0]

    @property
    def held_out(self) -> Float[Tensor, "m d"]:
        """Those of the others, in an order by their numbers' hashes."""
        return self._rows[1]

    @property
    def groups(self) -> Int[Tensor, " m"]:
        """The block of every held-out patch."""
        return self._rows[2]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n patches of the training blocks, with replacement."""
        dev = generator.device
        rows = self.training.to(dev)
        return rows[torch.randint(len(rows), (n,), generator=generator, device=dev)]

    @cached_property
    def _rows(self) -> tuple[Tensor, Tensor, Tensor]:
        blocks = [
            block
            for picture in _pictures(self.data)
            for block in _blocks(picture, _SIDE[self.data])
        ]
        order = _shuffled("block", len(blocks))
        out, seen = order[: len(blocks) // _HELD_OUT], order[len(blocks) // _HELD_OUT :]
        training = np.concatenate([self._cut(blocks[k]) for k in sorted(seen)])
        parts = [self._cut(blocks[k]) for k in out]
        held_out = np.concatenate(parts)
        groups = np.repeat(np.array(out), [len(part) for part in parts])
        mixed = _shuffled("patch", len(held_out))
        return (
            torch.from_numpy(training),
            torch.from_numpy(held_out[mixed]),
            torch.from_numpy(groups[mixed]),
        )

    def _cut(self, block: Float[ndarray, "h w"]) -> Float[ndarray, "k d"]:
        """The patches of a block."""
        windows = np.lib.stride_tricks.sliding_window_view(block, (self.height, self.width))
        down, across = min(self.step, self.height), min(self.step, self.width)
        return np.ascontiguousarray(windows[::down, ::across].reshape(-1, self.dim))


def require_photographs() -> None:
    """Nothing where scikit-learn is installed; it is not imported.

    Raises:
        RdbenchError: it is not.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise RdbenchError(_MISSING)


def _blocks(picture: Float[ndarray, "h w"], side: int) -> Iterator[Float[ndarray, "s s"]]:
    """Whole blocks, row by row; what is left at two edges belongs to none."""
    for top in range(0, picture.shape[0] - side + 1, side):
        for left in range(0, picture.shape[1] - side + 1, side):
            yield picture[top : top + side, left : left + side]


def _shuffled(what: str, n: int) -> list[int]:
    """0 to n - 1 in an order by hashes, the same for ever."""
    return sorted(range(n), key=lambda k: hashlib.sha256(f"{what} {k}".encode()).digest())


def _pictures(data: str) -> list[Float[ndarray, "h w"]]:
    raw = []
    for package, file, digest in _FILES[data]:
        try:
            path = resources.files(package) / file
            content = path.read_bytes()
        except (ImportError, OSError):
            missing = _MISSING if data == "photographs" else f"matplotlib has no {file} here"
            raise RdbenchError(missing) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise RdbenchError(f"{file} is not the file that this source is made of")
        raw.append(path)
    if data == "elevation":
        with raw[0].open("rb") as file_of_heights:
            return [np.load(file_of_heights)["elevation"].astype(float) / 100.0]
    import matplotlib.image

    grey = np.array([0.299, 0.587, 0.114])
    found = []
    for path in raw:
        picture = matplotlib.image.imread(io.BytesIO(path.read_bytes()), format="jpg")
        found.append(picture / 255.0 @ grey)
    return found
