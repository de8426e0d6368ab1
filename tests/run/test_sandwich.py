"""``rdbench run --sandwich``: rows from both sides, and what is stored of a lower one."""

from __future__ import annotations

import csv
import io


def test_both_sides_are_rows_of_their_own(start, tmp_path):
    folder = str(tmp_path / "results")
    options = ("--results", folder, "--budget", "quick", "--draws", "0")
    run = start(
        "run", "--suite", "planar", "--cases", "ramp-d2", "--rates", "1", "--sandwich",
        "--estimators", "mixture_em[components=1],shannon_lower_bound", *options,
    )  # fmt: skip
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert "Lower bounds: gap F* - F_lo" in out
    export = start("export", "--results", folder)
    rows = {row["estimator"]: row for row in csv.DictReader(io.StringIO(export.communicate()[0]))}
    assert set(rows) == {"mixture_em", "mixture_em+lower", "shannon_lower_bound"}
    upper, lower = rows["mixture_em"], rows["mixture_em+lower"]
    assert upper["side"] != "lower"
    assert upper["lagrangian_hi"]
    assert lower["side"] == "lower"
    assert (lower["rate"], lower["distortion_value"]) == ("", "")
    assert lower["params"] == '{"components":1}'
    assert lower["evidence"] == "sampled"
    assert float(lower["lagrangian_lo"]) <= float(lower["lagrangian"])
    # R at rate 1 in two dimensions: F* = R* + beta D* = 1 + 1.
    assert float(lower["lagrangian"]) < 2.02
    assert float(lower["lagrangian_lo"]) < float(upper["lagrangian_hi"])
    assert abs(2.0 - float(lower["lagrangian"]) - float(lower["gap"])) < 0.02
    assert rows["shannon_lower_bound"]["evidence"] == "closed form"
    assert abs(float(rows["shannon_lower_bound"]["gap"])) < 1e-6
