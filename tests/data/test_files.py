"""Every format gives the same rows; what cannot be a source is refused in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from rdbench.cli import main
from rdbench.data.files import read
from rdbench.data.pictures import read_patches
from rdbench.data.table import as_letters, numbers, without_groups
from rdbench.types import RdbenchError

X = np.random.default_rng(5).normal(size=(40, 3))


def write(folder: Path, kind: str) -> tuple[Path, str | None]:
    path = folder / kind
    match kind:
        case "x.npy":
            np.save(path, X)
        case "fortran.npy":
            np.save(path, np.asfortranarray(X))
        case "deep.npy":
            np.save(path, X.reshape(40, 1, 3))
        case "one.npz":
            np.savez(path, rows=X)
        case "two.npz":
            np.savez(path, rows=X, other=X[:3])
            return path, "rows"
        case "head.csv":
            pd.DataFrame(X, columns=list("abc")).to_csv(path, index=False)
        case "bare.csv":
            pd.DataFrame(X).to_csv(path, index=False, header=False)
        case "x.parquet":
            pd.DataFrame(X, columns=list("abc")).to_parquet(path)
        case "x.pt":
            torch.save(torch.from_numpy(X), path)
        case "x_in.pt":
            torch.save({"rows": torch.from_numpy(X)}, path)
    return path, None


KINDS = [
    "x.npy", "fortran.npy", "deep.npy", "one.npz", "two.npz", "head.csv", "bare.csv", "x.parquet",
    "x.pt", "x_in.pt",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_rows_to_the_last_bit(tmp_path: Path, kind: str) -> None:
    rows = numbers(read(*write(tmp_path, kind)))
    assert rows.x.dtype == np.float64
    assert np.array_equal(rows.x, X)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float16", "float32", "bool"])
def test_numbers_of_any_type_are_taken_as_they_are(tmp_path: Path, dtype: str) -> None:
    values = (np.abs(X) * 10).astype(dtype)
    np.save(tmp_path / "x.npy", values)
    found = numbers(read(tmp_path / "x.npy"))
    assert found.kind == dtype
    assert np.array_equal(found.x, values.astype(float))


def test_half_precision_tensors_are_read(tmp_path: Path) -> None:
    x = torch.arange(8, dtype=torch.bfloat16)
    torch.save(x, tmp_path / "x.pt")
    assert numbers(read(tmp_path / "x.pt")).x[:, 0].tolist() == x.tolist()


CSV = [
    ("0,1,2\n.5,1,2\n.25,3,1\n", [[0.5, 1, 2], [0.25, 3, 1]]),  # names that a data frame wrote
    ("0,1\n.5,1\n.25,3\n", [[0.5, 1], [0.25, 3]]),
    ("0,1\n1,0\n1,1\n", [[0, 1], [1, 0], [1, 1]]),  # letters: a row like the others
    ("\ufeff1,2\n3,4\n", [[1, 2], [3, 4]]),
    ("\n1,1\n1,2\n", [[1, 1], [1, 2]]),  # no name twice
    ('"a, b", "c"\n"1", "2"\n3,4\n\n', [[1, 2], [3, 4]]),
    ("a,,a\n1,2,3\n3,4,5\n", [[1, 2, 3], [3, 4, 5]]),
    (",b\n7,2\n3,4\n", [[7, 2], [3, 4]]),  # a column without a name that numbers no rows
]


@pytest.mark.parametrize(("text", "rows"), CSV)
def test_the_first_line_of_a_csv_file(tmp_path: Path, text: str, rows: list[list[float]]) -> None:
    (tmp_path / "x.csv").write_text(text)
    assert numbers(read(tmp_path / "x.csv")).x.tolist() == rows


def test_names_of_columns_are_those_of_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([(1, 0.5), (2, 1.5)], dtype=[("n", int), ("x y", float)]))
    found = read(tmp_path / "x.npy")
    assert found.names == ("n", "x y")
    assert numbers(found).x.tolist() == [[1.0, 0.5], [2.0, 1.5]]
    torch.save({3: torch.ones(2)}, tmp_path / "x.pt")
    assert read(tmp_path / "x.pt", "3").columns[0].tolist() == [1.0, 1.0]


class Thing:
    """A pickled object."""


def plant(folder: Path, name: str) -> str:
    path = folder / name
    gap = np.where(np.arange(150).reshape(50, 3) == 34, np.nan, 1.0 + np.arange(150).reshape(50, 3))
    match name:
        case "one.npy":
            np.save(path, X[:1])
        case "same.npy":
            np.save(path, np.ones((200, 3)))
        case "nan.npy":
            np.save(path, gap)
        case "inf.npy":
            np.save(path, np.where(np.isnan(gap), np.inf, gap))
        case "wide.npy":
            np.save(path, np.zeros((2, 1_000_000), dtype=np.int8))
        case "few.npy":
            np.save(path, X)
        case "gauss.npy":
            np.save(path, np.random.default_rng(0).normal(size=(200, 1)))
        case "objects.npy":
            np.save(path, np.array([Thing(), 1], dtype=object), allow_pickle=True)
        case "objects.npz":
            np.savez(path, a=np.array([{}, 1], dtype=object))
        case "pickle.pt":
            path.write_bytes(pickle.dumps(Thing()))
        case "module.pt":
            torch.save(torch.nn.Linear(2, 2), path)
        case "state.pt":
            torch.save({"a": torch.zeros(3), "b": torch.zeros(3)}, path)
        case "complex.npy":
            np.save(path, X + 1j)
        case "number.npy":
            np.save(path, np.array(3.0))
        case "none.npy":
            np.save(path, X[:0])
        case "cut.npy":
            np.save(path, X)
            path.write_bytes(path.read_bytes()[:300])
        case "two.npz":
            np.savez(path, a=X, b=X)
        case "text.csv":
            pd.DataFrame({"a": X[:, 0], "town": ["Ulm", "Bonn"] * 20}).to_csv(path, index=False)
        case "hole.csv":
            path.write_text("a,b\n" + "1,2\n" * 60 + "1,\n")
        case "header.csv":
            path.write_text("a,b\n")
        case "empty.csv":
            path.write_text("")
        case "longer.csv":
            path.write_text("a,b\n" + "1,2,3\n4,5,6\n" * 60)
        case "index.csv":
            pd.DataFrame(X).to_csv(path)
        case "semicolon.csv":
            path.write_text("a;b\n" + "1,5;2\n" * 60)
        case "latin.csv":
            path.write_bytes("gr\xf6\xdfe,b\n1,2\n".encode("latin-1"))
        case "names.csv":
            path.write_text("a,a\n" + "1,2\n3,4\n" * 60)
        case "nobody.csv":
            path.write_text("a,who\n" + "1,x\n3,\n" * 60)
        case "huge.npy":
            np.save(path, 1e200 * X)
        case "tiny.npy":
            np.save(path, 1e-200 * X)
        case "list.parquet":
            pd.DataFrame({"a": [[1, 2]] * 3}).to_parquet(path)
        case "text.npy":
            path.write_text("1,2")
        case "text.pt":
            path.write_text("1,2")
        case "no.npz":
            np.savez(path)
        case "date.npy":
            np.save(path, np.arange(9).astype("datetime64[D]"))
        case "folder.npy":
            path.mkdir()
        case "x.foo":
            path.write_text("1")
    return str(path)


REFUSED = [
    ("one.npy", [], "one row"),
    ("same.npy", [], "all 200 rows are the same"),
    ("nan.npy", [], "row 12, column 1"),
    ("inf.npy", [], "row 12, column 1"),
    ("wide.npy", [], "1,000,000 columns"),
    ("few.npy", [], "give 100 rows or more, or --of rows"),
    ("objects.npy", [], "pickled objects"),
    ("objects.npz", [], "pickled objects"),
    ("pickle.pt", [], "pickled objects"),
    ("module.pt", [], "pickled objects"),
    ("state.pt", [], "It holds a, b; write state.pt:NAME"),
    ("two.npz", [], "It holds a, b; write two.npz:NAME"),
    ("complex.npy", [], "complex numbers"),
    ("number.npy", [], "a single value"),
    ("none.npy", [], "is empty"),
    ("cut.npy", [], "cannot read"),
    ("text.csv", [], "text in column town: 'Ulm'"),
    ("hole.csv", [], "1 of 61 rows"),
    ("header.csv", [], "0 rows"),
    ("empty.csv", [], "is empty"),
    ("longer.csv", [], "have more values than its first line"),
    ("index.csv", [], "first column of index.csv has no name and numbers the rows"),
    ("semicolon.csv", [], "separates values by semicolons"),
    ("latin.csv", [], "no text in UTF-8"),
    ("names.csv", ["--groups", "a"], "2 columns are called 'a'"),
    ("nobody.csv", ["--groups", "who"], "missing in column who, row 2"),
    ("huge.npy", [], "their squares overflow"),
    ("tiny.npy", [], "squares of that are zero"),
    ("list.parquet", ["--distortion", "hamming"], "give one value per row"),
    ("text.npy", [], "is not a .npy file"),
    ("text.pt", [], "is not a file of torch.save"),
    ("no.npz", [], "holds no array"),
    ("date.npy", [], "datetime64"),
    ("folder.npy", [], "is a folder: pictures need the side of patches"),
    ("x\0.npy", [], "cannot look at"),
    ("x" * 300, [], "cannot look at"),
    ("x.foo", [], ".npy, .npz, .csv, .parquet, .pt or a folder of pictures, not .foo"),
    ("missing.npy", [], "there is no file"),
    ("few.npy", ["--of", "people"], "valid: population, rows"),
    ("few.npy", ["--of", "rows", "--groups", "0"], "--groups belongs to --of population"),
    ("few.npy", ["--groups", "height"], "no column 'height' to group by; there are: 0, 1, 2"),
    ("few.npy", ["--distortion", "squared"], "squared_error, absolute_error, hamming"),
    ("few.npy", ["--distortion", "none.npy"], "there is no file"),
    ("few.npy", ["--patches", "8"], "--patches cuts pictures"),
    ("few.npy", ["--dims", "2"], "--dims belongs to --suite"),
    ("few.npy", ["--suite", "scalar"], "not both"),
    ("gauss.npy", ["--n-train", "200"], "has 160 rows to train on, not 200"),
    ("few.npy", ["--of", "rows", "--n-train", "50", "--betas", "1", "--rates", "1"], "give one of"),
]


@pytest.mark.parametrize(("name", "options", "says"), REFUSED)
def test_one_line_and_exit_code_two(tmp_path, capfd, name, options, says) -> None:
    results = tmp_path / "results"
    given = ["run", "--data", plant(tmp_path, name), "--results", str(results), "--dry-run"]
    assert main([*given, *options]) == 2
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if "note:" not in line]
    assert out == ""
    assert len(lines) == 1
    assert says in lines[0]
    assert "Traceback" not in err
    assert not results.exists()


def test_options_of_data_are_refused_without_data(capfd) -> None:
    assert main(["run", "--suite", "scalar", "--of", "rows"]) == 2
    assert "--of belongs to --data" in capfd.readouterr().err
    assert main(["run"]) == 2
    assert "give --suite NAMES or --data FILE" in capfd.readouterr().err


def test_categories_become_letters_in_the_order_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("size,colour,who\n" + "L,red,a\nS,blue,b\nM,red,b\n")
    raw = without_groups(read(path), "who")
    assert raw.groups is not None
    assert raw.groups.tolist() == ["a", "b", "b"]
    found = as_letters(raw)
    assert found.letters == (("L", "M", "S"), ("blue", "red"))
    assert found.x.tolist() == [[0, 1], [2, 0], [1, 1]]
    path.write_text("size\nL\n\nNA\n")
    with pytest.raises(RdbenchError, match="missing"):
        as_letters(read(path))


def test_pictures_are_cut_where_they_stand(tmp_path: Path) -> None:
    """Pixel (i, j) of patch (r, c) is pixel (side r + i, side c + j); the rest is left out."""
    grey = (np.arange(7 * 9).reshape(7, 9) * 3).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    found = read_patches(tmp_path, 3)
    x = np.stack(found.columns, 1)
    wanted = [
        [grey[3 * r + i, 3 * c + j] / 255.0 for i in range(3) for j in range(3)]
        for r in range(2)
        for c in range(3)
    ]
    assert x == pytest.approx(np.array(wanted), abs=1e-6)
    assert found.groups is None
    Image.fromarray(grey).save(tmp_path / "b.png")
    assert read_patches(tmp_path, 3).groups is not None
    for side, says in ((0, "1 or more"), (10, "no picture in")):
        with pytest.raises(RdbenchError, match=says):
            read_patches(tmp_path, side)
    deep = grey.astype(np.uint16) * 257  # the same picture in 16 bits
    Image.fromarray(deep).save(tmp_path / "b.png")
    both = np.stack(read_patches(tmp_path, 3).columns, 1)
    assert both[6:] == pytest.approx(both[:6], abs=1e-6)
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "d.tiff")
    with pytest.raises(RdbenchError, match=r"d\.tiff has values beyond black and white"):
        read_patches(tmp_path, 3)
    (tmp_path / "d.tiff").unlink()
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(RdbenchError, match=r"c\.png"):
        read_patches(tmp_path, 3)
