"""The example of codecs: its lattices, the known losses at high rate, and its files beside R(D)."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest

from rdbench.cli import main
from rdbench.codecs.points import curves, read_points
from rdbench.run.records import PointRecord
from tests.test_band import cell

FILE = Path(__file__).resolve().parent.parent / "examples" / "codecs" / "codecs.py"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("rdbench_example_codecs", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_nearest_points_are_the_nearest(example: ModuleType) -> None:
    """Against all points of the lattices around 0."""
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 2), axis=-1).reshape(-1, 2)
    hexagonal = grid @ np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)]])
    x = rng.uniform(-1.5, 1.5, (400, 2))
    found = ((x - example.nearest_hexagonal(x)) ** 2).sum(1)
    best = ((x[:, None] - hexagonal[None]) ** 2).sum(2).min(1)
    assert found == pytest.approx(best)
    # E8 has 240 points next to 0, of squared length 2, and none is nearer
    integers = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 8), axis=-1).reshape(-1, 8)
    halves = np.stack(np.meshgrid(*[[-0.5, 0.5]] * 8), axis=-1).reshape(-1, 8)
    points = np.concatenate([integers, halves])
    points = points[points.sum(1) % 2 == 0]
    assert (((points**2).sum(1) - 2.0) == 0.0).sum() == 240
    near = points[(points**2).sum(1) <= 4.0]
    x = rng.uniform(-0.45, 0.45, (200, 8))
    found = ((x - example.nearest_e8(x)) ** 2).sum(1)
    best = ((x[:, None] - near[None]) ** 2).sum(2).min(1)
    assert found == pytest.approx(best)


@pytest.mark.parametrize(
    ("name", "moment"),
    [("INTEGERS", 1 / 12), ("HEXAGONAL", 5 / (36 * math.sqrt(3))), ("E8", 929 / 12960)],
)
def test_the_second_moments_are_those_of_the_table(
    example: ModuleType, name: str, moment: float
) -> None:
    """Conway and Sloane, Sphere Packings, Lattices and Groups, table 2.3."""
    lattice = getattr(example, name)
    u = lattice.cell(4096)
    found = (u**2).sum(1).mean() / lattice.dim / lattice.volume ** (2 / lattice.dim)
    assert found == pytest.approx(moment, rel=2e-3)


def loss(point: tuple[str, float, float]) -> tuple[float, float]:
    """Bits and dB above R(D) of N(0, 1), per dimension."""
    _, rate, d = point
    return rate - 0.5 * math.log2(1 / d), 10 * math.log10(d * 2 ** (2 * rate))


def test_the_scalar_quantiser_loses_a_quarter_of_a_bit(example: ModuleType) -> None:
    bits, db = loss(example.scalar_on_gaussian(0.05))
    assert bits == pytest.approx(0.5 * math.log2(math.pi * math.e / 6), abs=2e-4)  # .2546
    assert db == pytest.approx(1.533, abs=1e-3)
    # and next to nothing at low rate
    assert loss(example.scalar_on_gaussian(6.0))[0] < 0.05


def test_the_lattices_gain_what_is_known(example: ModuleType) -> None:
    """Of the 1.53 dB A2 gains .17 and E8 .65, at high rate."""
    for name, gain in (("INTEGERS", 0.0), ("HEXAGONAL", 0.167), ("E8", 0.654)):
        point = example.lattice_on_gaussian(getattr(example, name), 0.4, 2048, 2048)
        assert loss(point)[1] == pytest.approx(1.533 - gain, abs=0.03)


def test_a_lattice_on_a_gaussian_against_its_closed_form(example: ModuleType) -> None:
    for step in (2.2, 0.8):
        _, rate, d = example.lattice_on_gaussian(example.INTEGERS, step, 4096, 2048)
        _, exact_rate, exact_d = example.scalar_on_gaussian(step)
        assert rate == pytest.approx(exact_rate, abs=5e-3)
        assert d == pytest.approx(exact_d, rel=1e-2)


def test_vector_quantisation_on_rows(example: ModuleType) -> None:
    rng = np.random.default_rng(3)
    rows = np.repeat([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]], 25, axis=0)
    name, rate, d = example.vector_quantiser(rows, 5.0, 40, rng)
    assert name == "vector quantiser"
    assert (rate, d) == (pytest.approx(1.0), pytest.approx(0.0))  # two bits in two dimensions
    assert example.lattice_on_rows(rows, example.INTEGERS, 1.0)[1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "suite", "case", "dim", "codecs"),
    [
        ("gaussian.csv", "gaussian_spectra", "flat-d8", 8, {"uniform scalar", "hexagonal", "E8"}),
        ("digits.csv", "real_data", "digits-2", 2, {"integers", "hexagonal", "vector quantiser"}),
    ],
)
def test_its_files_are_read_beside_r_of_d(
    example: ModuleType,
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    suite: str,
    case: str,
    dim: int,
    codecs: set[str],
) -> None:
    assert set(curves(read_points(files / name))) == codecs
    # one row without numbers is enough: the truth of the case is asked
    row = PointRecord(beta=1.0, status="error")
    record = msgspec.structs.replace(cell([row]), suite=suite, case=case, dim=dim)
    (tmp_path / "records.jsonl").write_bytes(msgspec.json.encode(record) + b"\n")
    args = ["answer", "--results", str(tmp_path), "--points", str(files / name)]
    assert main(args) == 0
    out = capsys.readouterr().out
    assert "D over D(R) (dB)" in out
    assert "BD-rate (%)" in out
    assert all(one in out for one in codecs)
    # read as nats per symbol the same files cannot be, and the line says what they are in
    plain = tmp_path / "plain.csv"
    lines = [",".join(line.split(",")[:3]) for line in (files / name).read_text().splitlines()]
    plain.write_text("\n".join(lines))
    assert main([*args[:-1], str(plain)]) == 2
    assert "bpp,mse" in capsys.readouterr().err


@pytest.fixture(scope="module")
def files(example: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("points")
    example.main(folder, 256, 256)
    return folder
