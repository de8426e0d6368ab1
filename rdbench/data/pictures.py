"""Pictures -> patches: every picture is cut into squares side by side, grey, in [0, 1]."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rdbench.data.table import Raw
from rdbench.outcomes import RdbenchError, one_line

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_WHITE = {"I": 65535.0, "I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "F": 1.0}
"""White, by Pillow's modes of more than 8 bits."""
_ROUNDING = 1e-6


def read_patches(path: Path, side: int) -> Raw:
    """The patches of a picture, or of all pictures of a folder: (n, side^2), grey values in [0, 1].

    Grey is the luma of ITU-R 601-2 where a picture has colours. Patches of one picture belong
    together: they are its group, so that a picture is held out whole where there are several.

    Raises:
        RdbenchError: no picture, one that cannot be read, or none as large as a patch.
    """
    from PIL import Image  # comes with matplotlib

    if side < 1:
        raise RdbenchError(f"--patches takes the side of a patch, 1 or more, got {side}")
    files = [path] if path.is_file() else sorted(_pictures_in(path))
    if not files:
        raise RdbenchError(f"{path} has no pictures ({', '.join(PICTURES)})")
    parts, owner = [], []
    for file in files:
        try:
            with Image.open(file) as picture:
                white = _WHITE.get(picture.mode, 255.0)
                grey = np.asarray(picture.convert("F"), dtype=float) / white
        except Exception as problem:
            raise RdbenchError(f"cannot read {file}: {one_line(problem)}") from None
        if not (grey.min() >= 0.0 and grey.max() <= 1.0 + _ROUNDING):
            raise RdbenchError(
                f"{file} has values beyond black and white: give pictures of 8 or 16 bits"
            )
        rows, columns = grey.shape[0] // side, grey.shape[1] // side
        cut = grey[: rows * side, : columns * side].reshape(rows, side, columns, side)
        parts.append(cut.transpose(0, 2, 1, 3).reshape(rows * columns, side * side))
        owner += [str(file.relative_to(path)) if path.is_dir() else file.name] * (rows * columns)
    values = np.concatenate(parts)
    if not len(values):
        raise RdbenchError(f"no picture in {path} has {side} x {side} pixels")
    names = tuple(f"{i},{j}" for i in range(side) for j in range(side))
    pictures = np.array(owner) if len(files) > 1 else None
    return Raw(names, list(values.T), "float64", pictures)


def _pictures_in(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*") if f.suffix.lower() in PICTURES and f.is_file()]
