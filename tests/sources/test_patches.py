"""Patches of pictures and images as rows: what is held out is never trained on, down to a pixel."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch

from rdbench.audit.symbols import draw_symbols
from rdbench.distortions import SquaredError
from rdbench.run.views import make_view
from rdbench.sources import patches
from rdbench.sources.image_rows import ImageRows
from rdbench.sources.patches import Patches
from rdbench.types import HasHeldOut, HasSupport, Problem, RdbenchError, Source

CASES = [Patches(), Patches("photographs", 16, 16, 8), Patches("elevation", 1, 16, 16)]


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures in which every pixel has a number of its own."""
    first = np.arange(427 * 640, dtype=float).reshape(427, 640)
    monkeypatch.setattr(patches, "_pictures", lambda data: [first, first + first.size])


@pytest.mark.usefixtures("numbered")
@pytest.mark.parametrize("source", CASES, ids=lambda s: s.name)
def test_no_pixel_is_both_trained_on_and_audited(source: Patches) -> None:
    source = Patches(source.data, source.height, source.width, source.step)  # read anew
    side = 64 if source.data == "photographs" else 32
    seen, held = set(source.training.flatten().tolist()), set(source.held_out.flatten().tolist())
    assert not seen & held
    # Every pixel of every whole block is in one of the two.
    assert len(seen) + len(held) == 2 * (427 // side) * (640 // side) * side * side
    assert len(held) == pytest.approx(0.2 * (len(seen) + len(held)), rel=0.05)

    def block(pixel: float) -> tuple[int, ...]:
        picture, place = divmod(int(pixel), 427 * 640)
        return (picture, place // 640 // side, place % 640 // side)

    # The groups are the blocks, and a patch is a rectangle of its block.
    found: dict[int, set[tuple[int, ...]]] = {}
    for row, group in zip(source.held_out, source.groups.tolist(), strict=True):
        found.setdefault(group, set()).update(block(pixel) for pixel in row.tolist())
        picture = row.reshape(source.height, source.width)
        steps = (picture.diff(dim=1), picture.diff(dim=0))
        assert bool((steps[0] == 1.0).all())
        assert bool((steps[1] == 640.0).all())
    assert all(len(blocks) == 1 for blocks in found.values())
    assert len(set.union(*found.values())) == len(found)


@pytest.mark.usefixtures("numbered")
def test_estimators_see_training_patches_alone_and_audits_the_others() -> None:
    source = Patches("photographs", 8, 8, 8)
    assert isinstance(source, Source)
    assert isinstance(source, HasHeldOut)
    problem = Problem(source, SquaredError())
    generator = torch.Generator().manual_seed(1)
    view, _ = make_view(problem, frozenset(), generator, torch.device("cpu"))
    seen = set(source.training[:, 0].tolist())
    assert set(view.sample(3000)[:, 0].tolist()) <= seen
    assert set(source.sample(3000, generator)[:, 0].tolist()) <= seen
    assert view.training is not None
    assert set(view.training[:, 0].tolist()) == seen
    symbols = draw_symbols(problem, 10_000, generator)
    assert sorted(symbols.x[:, 0].tolist()) == sorted(source.held_out[:, 0].tolist())
    assert symbols.groups is not None


def test_the_data_are_what_they_are_said_to_be() -> None:
    heights = Patches("elevation", 1, 16, 16)
    # 236 to 1076 m
    assert float(heights.training.min()) >= 2.36
    assert float(heights.training.max()) <= 10.76
    metres = heights.training * 100.0
    assert torch.allclose(metres.round(), metres, rtol=0.0, atol=1e-9)
    assert heights.training.shape == (96 * 64, 16)
    if importlib.util.find_spec("sklearn") is None:
        return
    pytest.importorskip("PIL")
    from sklearn.datasets import load_sample_image

    flower = load_sample_image("flower.jpg").astype(float)
    grey = 0.299 * flower[..., 0] + 0.587 * flower[..., 1] + 0.114 * flower[..., 2]
    rows = torch.cat([Patches().training, Patches().held_out])
    corner = torch.from_numpy(grey[:8, :8].reshape(-1) / 255.0)
    assert int((rows - corner).abs().amax(1).lt(1e-9).sum()) == 1


def test_images_as_rows_are_a_finite_source() -> None:
    pytest.importorskip("sklearn")
    source = ImageRows("digits")
    assert isinstance(source, HasSupport)
    assert source.support.shape == (1797, 64)
    assert float(source.pmf.sum()) == pytest.approx(1.0)
    drawn = source.sample(50, torch.Generator().manual_seed(0))
    assert bool((torch.cdist(drawn, source.support).min(1).values == 0.0).all())
    assert (ImageRows().dim, ImageRows().name) == (784, "5000 of MNIST, 784 pixels")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("paintings",), "unknown set of pictures 'paintings'"),
        (("photographs", 65), "at most 64 by 64"),
        (("elevation", 1, 33), "at most 32 by 32"),
        (("photographs", 8, 8, 0), "at least 1"),
        (("photographs", 8.5), "whole number"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(arguments, message) -> None:
    with pytest.raises(RdbenchError, match=message):
        Patches(*arguments)
    with pytest.raises(RdbenchError, match="unknown set of images"):
        ImageRows("fashion")  # type: ignore[arg-type]


def test_other_files_and_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets.images", None)
    with pytest.raises(RdbenchError, match=r"pip install 'rdbench\[data\]'"):
        Patches("photographs", 8, 8, 4).held_out  # noqa: B018
    file = patches._FILES["elevation"][0]
    monkeypatch.setitem(patches._FILES, "elevation", ((file[0], file[1], "0" * 64),))
    with pytest.raises(RdbenchError, match="is not the file"):
        Patches("elevation").training  # noqa: B018
