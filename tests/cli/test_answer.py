"""``rdbench answer``, ``rdbench figure`` and ``rdbench run --points``, as a user types them."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from rdbench.cli import main
from rdbench.cli.truth import TruthSources, known_band, silent_of
from rdbench.run.records import CellRecord


@pytest.fixture
def codec(tmp_path: Path) -> Path:
    """A quarter of a bit above R(D) of N(0, 1) at D = 1/64, where R(D) is 3 bits."""
    path = tmp_path / "codec.csv"
    path.write_text("name,rate,distortion\nquarter,3.25,0.015625\nquarter,2.25,0.0625\n")
    return path


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_an_answer_with_a_codec_and_a_picture(results, codec, tmp_path, capsys) -> None:
    picture = tmp_path / "band.svg"
    args = ["answer", "--results", str(results), "--distortions", "0.015625", "--rates", "3"]
    args += ["--units", "bits", "--points", str(codec), "--points-units", "bits"]
    assert main([*args, "--out", str(picture), "--axes", "bits,psnr:1"]) == 0
    out = told(capsys)
    # R at D = 1/64 from below; the closed form is asked beside the records
    assert "0.0156 3.0000" in out
    assert "3.0000 2.0794" in out  # D at 3 bits
    assert "3.2500 0.0156 0.2500 [1.505" in out  # bits, D, a quarter bit, 1.505 dB
    assert "BD-rate" in out
    assert f"picture: {picture}" in out
    assert "PSNR (dB, peak 1)" in picture.read_text()


def test_a_codec_that_cannot_be_is_one_line_and_the_units_that_fit(results, codec, capsys) -> None:
    # bits that are read as nats are more, so that the file is given in bits per eight dimensions
    codec.write_text("name,rate,distortion\na,0.40625,0.015625\na,0.28,0.0625\n")
    assert main(["answer", "--results", str(results), "--points", str(codec)]) == 2
    err = capsys.readouterr().err
    assert "the point 'a' with rate 0.40625 and distortion 0.015625 (nats,sum) cannot be" in err
    assert "its units differ: no other units make them possible" in err
    assert err.count("\n") == 1
    codec.write_text("name,rate,distortion\na,3.1,0.015625\na,2.1,0.0625\n")
    base = ["answer", "--results", str(results), "--points", str(codec)]
    assert main([*base, "--points-units", "bits"]) == 0
    codec.write_text("name,rate,distortion\na,1.6,0.015625\na,1.3,0.0625\n")
    assert main([*base, "--points-units", "nats"]) == 2
    assert "(by truth (closed form))" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["answer", "--cases", "nothing"], "unknown case 'nothing'"),
        (["answer", "--estimators", "nobody"], "unknown stored estimator 'nobody'"),
        (["answer", "--rates", "0"], "--rates takes positive finite numbers"),
        (["answer", "--units", "bytes"], "--units takes nats or bits"),
        (["answer", "--axes", "furlongs"], "--axes takes rate nats, bits, bpp"),
        (["answer", "--points", "nowhere.csv"], "cannot read the points nowhere.csv"),
        (["answer", "--points-units", "kbps"], "--points-units takes rate nats"),
        (["answer", "--out", "x.bmp"], "by its ending; valid: .pdf, .png, .svg"),
        (["figure", "--out", "x.bmp"], "by its ending; valid: .pdf, .png, .svg"),
        (["figure", "--out", "x.png", "--panels", "gap,nothing"], "unknown panel 'nothing'"),
        (["figure", "--out", "x.png", "--suite", "planar"], "unknown stored suite 'planar'"),
        (["figure", "--out", "x.png", "--seeds", "7"], "no record of seed 7; stored: 0"),
        (["figure", "--out", "x.png", "--axes", "psnr"], "PSNR needs the largest value"),
        (["figure", "--out", "nowhere/x.png"], "cannot write nowhere/x.png"),
    ],
)
def test_bad_input_is_one_line(results, tmp_path, monkeypatch, capsys, args, says) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*args, "--results", str(results)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x.png").exists()


def test_several_cases_with_a_codec_are_refused(results, gaussian, codec, capsys) -> None:
    more = gaussian(cell="b" * 16, case="gaussian-far")
    with (results / "records.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(more) + b"\n")
    base = ["answer", "--results", str(results)]
    assert main(base) == 0
    assert capsys.readouterr().out.count("R(D) of scalar/") == 2
    assert main([*base, "--points", str(codec)]) == 2
    assert "choose it by --cases out of scalar/gaussian-far" in capsys.readouterr().err


def test_psnr_of_another_measure_is_refused(results, gaussian, codec, capsys) -> None:
    more = gaussian(case="gaussian-absolute", distortion="absolute_error")
    (results / "records.jsonl").write_bytes(msgspec.json.encode(more) + b"\n")
    args = ["answer", "--results", str(results), "--points", str(codec)]
    assert main([*args, "--points-units", "bits,psnr:1"]) == 2
    assert "PSNR is of squared error" in capsys.readouterr().err


def test_a_codec_without_loss_and_one_without_rate(results, codec, tmp_path, capsys) -> None:
    codec.write_text("name,rate,distortion\n[red] $x_1$,50,0\n[red] $x_1$,0,1\n")
    out = tmp_path / "x.svg"
    args = ["answer", "--results", str(results), "--points", str(codec), "--out", str(out)]
    assert main(args) == 0
    assert "[red] $x_1$" in capsys.readouterr().out
    assert "[red] $x_1$" in out.read_text()
    assert main([*args, "--axes", "bits,psnr:1"]) == 0


def test_a_figure_of_a_selection(results, gaussian, codec, tmp_path, capsys) -> None:
    more = gaussian(cell="b" * 16, case="gaussian-far", estimator="other", seed=3)
    with (results / "records.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(more) + b"\n")
    out = tmp_path / "figure.svg"
    base = ["figure", "--results", str(results), "--out", str(out)]
    assert main([*base, "--title", "all of them"]) == 0
    text = out.read_text()
    assert all(word in text for word in ("gaussian-standard", "gaussian-far", "all of them"))
    assert main([*base, "--seeds", "3", "--suite", "scalar"]) == 0
    assert "gaussian-standard" not in out.read_text()
    points = ["--points", str(codec), "--points-units", "bits", "--axes", "bits,mse"]
    assert main([*base, "--estimators", "e", *points]) == 0
    text = out.read_text()
    assert "quarter" in text
    assert "rate R (bits)" in text
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize("command", ["answer", "figure"])
@pytest.mark.parametrize("name", [".", "../elsewhere/records.jsonl"])
def test_no_picture_replaces_records(results, capsys, command, name) -> None:
    before = (results / "records.jsonl").read_bytes()
    assert main([command, "--results", str(results), "--out", str(results / name)]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert (results / "records.jsonl").read_bytes() == before


def test_what_is_known_beside_the_records(gaussian) -> None:
    record: CellRecord = gaussian()
    sources = TruthSources(0.0)
    band = known_band([record], sources)
    for d in (0.002, 0.01, 0.1, 0.3):
        assert band.rate(d).lo == pytest.approx(-0.5 * math.log(d), abs=1e-4)
        assert band.rate(d).hi == pytest.approx(-0.5 * math.log(d), abs=1e-4)
    assert band.rate(1.0).hi == 0.0  # E X^2
    assert known_band([gaussian(suite="nobody's")], sources).rate(0.1).hi == math.inf


def test_a_constant_on_finitely_many_points(gaussian) -> None:
    case = TruthSources(0.0).case([gaussian(suite="real_data", case="digits-2", dim=2)])
    assert case is not None
    x = case.problem.source.support  # type: ignore[attr-defined]
    assert silent_of(case) == pytest.approx(float(x.var(0, correction=0).sum()))


def test_a_run_with_points(tmp_path, codec, capsys) -> None:
    results = tmp_path / "run"
    args = ["run", "--suite", "scalar", "--estimators", "mixture_em", "--budget", "quick"]
    args += ["--results", str(results), "--points", str(codec), "--points-units", "bits"]
    assert main([*args, "--cases", "gaussian-*"]) == 2
    assert "--points belong to one case" in capsys.readouterr().err
    codec.write_text("name,rate,distortion\nno,x,1\n")
    assert main([*args, "--cases", "gaussian-standard"]) == 2
    assert "line 2: rate is no finite number" in capsys.readouterr().err
    assert not results.exists()
    codec.write_text("name,rate,distortion\nfalse,1,0.015625\n")
    assert main([*args, "--cases", "gaussian-standard", "--rates", "1"]) == 0
    done = capsys.readouterr()
    assert "cannot be" in done.err  # told and drawn, but the run is good
    (picture,) = (results / "figures").glob("*-codecs.png")
    assert picture.stat().st_size > 5000
