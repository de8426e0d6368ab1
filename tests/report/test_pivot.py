"""Cases by estimators: plain arithmetic, bold by paired differences, LaTeX that compiles."""

from __future__ import annotations

import csv
import io
import math
import re

import msgspec
import pytest

from rdbench.cli import main
from rdbench.report.latex import around
from rdbench.report.markup import escape_latex, render
from rdbench.report.metrics import METRICS
from rdbench.report.pivot import pivot_table
from rdbench.report.selection import selected
from rdbench.report.tables import metric_table
from rdbench.types import RdbenchError

NASTY = "a_b&c%d$e#f{g}~h^i\\j|k<l>m[n]\"o'\x1b[2J\n\n*ü ☃ ✓"


def fields_of(text: str) -> list[list[str]]:
    """The fields of a Markdown table, bold or not."""
    return [
        [one.strip() for one in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines()
    ]


# ------------------------------------------------------------------------- the numbers in it


def test_a_field_is_the_row_of_the_long_table(realistic):
    """The numbers of the two forms of a table are the same, to the last digit."""
    long = csv.DictReader(io.StringIO(metric_table(realistic, "gap", fmt="csv").text))
    wide = list(csv.DictReader(io.StringIO(pivot_table(realistic, "gap", fmt="csv").text)))
    assert [row["case"] for row in wide] == ["ramp-d2", "ramp-d5", "ramp-d10"]
    by_case = {row["case"]: row for row in wide}
    for row in long:
        for name in ("gap (nats)", "gap_lo", "gap_hi", "n", "of"):
            assert by_case[row["case"]][f"{row['estimator']} {name}"] == row[name]


def test_a_mean_over_seeds_with_its_interval_against_plain_arithmetic(cell, point):
    gaps = {"a": (0.25, 0.75), "b": (1.0, 2.0)}
    cells = [
        cell(estimator=name, seed=seed, points=[point(gap=g, gap_lo=g - 0.125, gap_hi=g + 0.5)])
        for name, values in gaps.items()
        for seed, g in enumerate(values)
    ]
    header, _, row = fields_of(pivot_table(cells).text)
    assert header == ["case \\| gap (nats)", "a", "b"]
    assert row[0] == "toy-d1"
    assert row[1].strip("*") == "0.5 [0.375, 1]"
    assert row[2].strip("*") == "1.5 [1.38, 2]"
    bits = fields_of(pivot_table(cells, units="bits").text)[-1]
    assert bits[2].strip("*") == f"{1.5 / math.log(2):.3g} [{1.375 / math.log(2):.3g}, " + (
        f"{2 / math.log(2):.3g}]"
    )


def test_an_upper_bound_is_marked_and_what_is_missing_is_counted(cell, point, failed):
    cells = [
        cell(estimator="a", points=[point(side="upper", gap_lo=None)]),
        cell(estimator="b", points=[point(), failed("error", "no")]),
        cell(estimator="c", points=[failed("unsupported", "no")]),
        cell(estimator="d", case="other", points=[point()]),
    ]
    rows = {
        row[0]: [one.strip("*") for one in row[1:]] for row in fields_of(pivot_table(cells).text)
    }
    assert rows["toy-d1"] == ["≤ 0.02", "0.01 [0.005, 0.02] (1/2)", "- (0/1)", ""]
    assert rows["other"] == ["", "", "", "0.01 [0.005, 0.02]"]
    assert "0.01" not in pivot_table(cells[:1], fmt="latex").text


@pytest.mark.parametrize("fmt", ["md", "latex", "csv", "html"])
def test_every_metric_in_every_format(cell, fmt):
    for metric in METRICS:
        text = pivot_table([cell()], metric, fmt=fmt).text
        assert metric in text.replace(r"\_", "_")


def test_rows_are_what_by_names_and_settings_are_never_mixed(cell, point):
    ladder = [point(beta=1.0, target_rate=0.5, gap=1.0), point(beta=9.0, target_rate=2.0, gap=3.0)]
    cells = [cell(points=ladder, seed=seed, budget=b) for seed in (0, 1) for b in ("full", "quick")]
    rows = fields_of(pivot_table(cells, by="case,target_rate,estimator").text)[2:]
    assert [row[:3] for row in rows] == [
        ["toy-d1", "0.5", "full"], ["toy-d1", "0.5", "quick"], ["toy-d1", "2", "full"],
        ["toy-d1", "2", "quick"],
    ]  # fmt: skip
    assert [row[3][:2] for row in rows] == ["1 ", "1 ", "3 ", "3 "]
    with pytest.raises(RdbenchError, match="a column for its rows"):
        pivot_table(cells, by="estimator")


def test_bold_goes_by_the_paired_differences_of_a_row(cell, point):
    """b is worse by .05 on every block; by their own intervals nothing could be told apart."""
    noise = [0.4 * math.sin(k) for k in range(64)]

    def of(name, shift, case):
        gap = 0.1 + shift
        values = {
            "gap": gap,
            "lagrangian": 1.0 + gap,
            "gap_lo": gap - 0.07,
            "gap_hi": gap + 0.07,
            "gap_common_se": 0.0,
        }
        blocks = [gap + one for one in noise]
        return cell(estimator=name, case=case, points=[point(**values, gap_blocks=blocks)])

    cells = [of("a", 0.0, "x"), of("b", 0.05, "x"), of("a", 0.05, "y"), of("b", 0.0, "y")]
    _, _, x, y = fields_of(pivot_table(cells).text)
    assert [one.startswith("**") for one in x] == [False, True, False]
    assert [one.startswith("**") for one in y] == [False, False, True]
    # Of the estimators that are shown: alone, nobody is the best.
    assert "**" not in pivot_table(selected(cells, None, ["a"])[0]).text
    assert "**" not in pivot_table(cells, "rate").text
    # Without a truth there is F alone, and the same pairs tell its best.
    blank = dict.fromkeys(("gap", "gap_lo", "gap_hi", "truth_lo", "truth_hi", "truth_kind"))
    unknown = [
        msgspec.structs.replace(
            one, points=[msgspec.structs.replace(p, **blank) for p in one.points]
        )
        for one in cells
    ]
    _, _, x, y = fields_of(pivot_table(unknown, "lagrangian").text)
    assert [one.startswith("**") for one in (*x, *y)] == [False, True, False, False, False, True]


def test_a_narrow_terminal_has_no_intervals_and_is_told_so(realistic):
    whole, narrow = pivot_table(realistic, width=400), pivot_table(realistic, width=60)
    assert whole == pivot_table(realistic)
    assert "0.00069" in whole.text
    assert (whole.left_out, narrow.left_out) == ((), ("intervals",))
    assert " [" not in narrow.text
    assert len(narrow.text.splitlines()) == len(whole.text.splitlines())


# -------------------------------------------------------------------------------- selection


def test_a_selection_keeps_the_order_asked_for(cell):
    cells = [
        cell(case=case, suite=suite, estimator=name, preset=preset, params=params)
        for case, suite in (("d1", "toy"), ("d2", "other"))
        for name, preset, params in (
            ("ebrd", "default", {}), ("wgd", "paper", {"n": 4}), ("ba", "default", {}),
        )
    ]  # fmt: skip
    found, labels = selected(cells, "toy/*", ["wgd:paper[n=4]", "ba"])
    assert labels == ["wgd:paper[n=4]", "ba"]
    assert [(one.case, one.estimator) for one in found] == [("d1", "wgd"), ("d1", "ba")]
    assert selected(cells, None, ["wgd*", "e*"])[1] == ["wgd:paper[n=4]", "ebrd"]
    header = fields_of(pivot_table(found, estimators=labels).text)[0]
    assert header[1:] == labels
    for arguments, message in (
        (("nothing", None), "unknown case 'nothing'.*d1, d2"),
        ((None, ["ebdr"]), "unknown stored estimator 'ebdr'.*did you mean ebrd.*ba, ebrd, wgd"),
        ((None, []), "no estimator given; stored: ba"),
    ):
        with pytest.raises(RdbenchError, match=message):
            selected(cells, *arguments)


# ------------------------------------------------------------------------------------ LaTeX


def check_latex(text: str) -> list[list[str]]:
    """Read LaTeX as far as a table goes, independently of what wrote it: the rows of its tabular.

    It knows groups, environments, inline formulas and the fields of a row, and a list of the
    commands that may occur; all else is an error, as it would be for TeX.
    """
    known = {
        "documentclass", "usepackage", "pagestyle", "begin", "end", "centering", "caption", "label",
        "toprule", "midrule", "bottomrule", "cmidrule", "multicolumn", "textbf", "boldmath",
        "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar",
        "leq", "geq", "beta", "cdot", "ldots",
        *"\\&%$#_{}",
    }  # fmt: skip
    opened: list[str] = []
    rows: list[list[str]] = []
    row, spec, depth, formula, at = [""], "", 0, False, 0
    while at < len(text):
        char = text[at]
        found = re.match(r"\\([A-Za-z]+|.)", text[at:], re.DOTALL)
        if char == "%":
            at = text.index("\n", at)
            continue
        if found:
            word = found[1]
            assert word in known, f"unknown command {word!r}"
            at += len(found[0])
            if word in ("begin", "end"):
                name = re.match(r"\{(\w+)\}", text[at:])
                assert name is not None
                at += len(name[0])
                if word == "begin":
                    opened.append(name[1])
                    if name[1] == "tabular":
                        columns = re.match(r"\{([lr]+)\}", text[at:])
                        assert columns is not None
                        spec, row = columns[1], [""]
                        at += len(columns[0])
                else:
                    assert opened.pop() == name[1]
                    assert depth == 0
                    assert not formula
            elif word == "\\":
                assert (opened or [""])[-1] == "tabular"
                assert depth == 0
                assert not formula
                assert not re.match(r"\s*[\[*]", text[at:]), "an optional argument"
                spans = sum(
                    int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", "&".join(row))
                )
                assert len(row) + spans == len(spec), row
                rows.append([one.strip() for one in row])
                row = [""]
            elif word in ("toprule", "midrule", "bottomrule"):
                assert row == [""] or not row[0].strip()
                assert not re.match(r"\s*\[", text[at:]), "an optional argument"
            elif word == "label":
                name = re.match(r"\{[\w:.-]+\}", text[at:])
                assert name is not None
                at += len(name[0])
            elif word == "cmidrule":
                rule = re.match(r"\(lr\)\{(\d+)-(\d+)\}", text[at:])
                assert rule is not None
                assert 1 <= int(rule[1]) <= int(rule[2]) <= len(spec)
                at += len(rule[0])
            else:
                row[-1] += found[0]
            continue
        assert char not in "#~", char
        assert formula or char not in "^_", char
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            assert depth >= 0
        elif char == "$":
            formula = not formula
        elif char == "&":
            assert depth == 0
            row.append("")
            at += 1
            continue
        elif char == "\n":
            assert not re.match(r"\n\s*\n", text[at:]), "a paragraph"
        else:
            assert char.isprintable()
            assert char.isascii() or char == "ü", char
        row[-1] += char
        at += 1
    assert not opened
    assert depth == 0
    return rows


@pytest.mark.parametrize("pivot", [True, False])
def test_latex_is_balanced_and_escaped_whatever_the_names(cell, point, pivot):
    tiny = point(gap=-1.5e-9, gap_lo=-3e-9, gap_hi=2e-7, side="exact")
    cells = [
        cell(case=NASTY, estimator="a_b", preset="x&y", params={"k%": "[#]"}, points=[tiny]),
        cell(case="*star", estimator="b"), cell(case="[1]", estimator="b"),
        cell(case="#1", estimator="b"),
        cell(case=NASTY, estimator="b", points=[point(side="upper", gap_lo=None)]),
    ]  # fmt: skip
    table = (pivot_table if pivot else metric_table)(cells, fmt="latex").text
    text = around(table, f"50% of {NASTY}", "tab:a_b", standalone=True)
    rows = check_latex(text)
    assert len(rows) == 6
    assert rows[-1][0].startswith(r"a\_b\&c\%d\$e\#f\{g\}\textasciitilde{}h\textasciicircum{}i")
    assert r"$-$$1.5 \cdot 10^{-9}$" in text
    assert r"\caption{50\% of a\_b" in text
    assert r"\label{tab:a_b}" in text
    assert "U+2603 U+2713" in text
    assert "\x1b" not in text
    # The parser does find faults: an unescaped &, a lost brace, a lost environment, a star.
    for good, bad in (
        (r"\&", "&"), ("{[}", "{["), (r"\end{table}", ""), ("{*}", "*"), (r"\%", r"\percent"),
    ):  # fmt: skip
        assert good in text
        with pytest.raises((AssertionError, ValueError)):
            check_latex(text.replace(good, bad))


def test_every_latin_letter_with_an_accent_stays_and_others_have_their_number():
    assert escape_latex("Žižek ßøł é") == "Žižek ßøł é"
    assert escape_latex("ħð😀\x00") == "U+0127U+00F0U+1F600U+0000"
    assert escape_latex("a\n\n b") == "a b"


def test_a_fragment_says_what_it_needs_and_a_label_needs_a_caption():
    tabular = render(["a"], [["1"]], [True], "latex")
    assert around(tabular).startswith("% needs \\usepackage{booktabs}\n\\begin{tabular}")
    check_latex(around(tabular, "c"))
    assert around(tabular, standalone=True).startswith(r"\documentclass")
    for label, message in (("a b", "takes letters"), ("}", "takes letters"), ("a", "--caption")):
        with pytest.raises(RdbenchError, match=message):
            around(tabular, None, label)


def test_html_has_the_metric_over_its_columns(cell):
    text = pivot_table([cell(), cell(estimator="b")], fmt="html").text
    assert '<tr><th></th><th colspan="2">gap (nats)</th></tr>' in text


# ------------------------------------------------------------------------------ the command


def test_the_command_writes_a_document(tmp_path, capsys, realistic):
    lines = b"".join(
        msgspec.json.encode(msgspec.structs.replace(one, cell=f"{k:016x}"), enc_hook=float) + b"\n"
        for k, one in enumerate(realistic)
    )
    (tmp_path / "records.jsonl").write_bytes(lines)
    where, out = ["--results", str(tmp_path)], tmp_path / "t.tex"
    arguments = [
        "table", *where, "--pivot", "--cases", "ramp-d?", "--estimators", "ebrd,blahut_arimoto",
        "--out", str(out), "--caption", "100% & more", "--label", "tab:x", "--standalone",
    ]  # fmt: skip
    assert main(arguments) == 0
    rows = check_latex(out.read_text())
    assert rows[1] == ["case", "ebrd", r"blahut\_arimoto"]
    assert [row[0] for row in rows[2:]] == ["ramp-d2", "ramp-d5"]
    assert main(["table", *where, "--estimators", "ebrd"]) == 0
    assert "blahut" not in capsys.readouterr().out
    against = ["--against", "blahut_arimoto", "--estimators", "ebrd", "--cases", "*d2"]
    assert main(["table", *where, *against]) == 0
    assert capsys.readouterr().out.count("ramp-d2") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pivot", "--against", "ebrd"], "drop one of them"),
        (["--caption", "c"], "--caption needs --format latex, got md"),
        (["--standalone", "--format", "csv"], "--standalone needs --format latex, got csv"),
        (["--label", "x", "--format", "latex"], "--label needs a --caption"),
        (["--label", "{", "--caption", "c", "--format", "latex"], "a label takes letters"),
        (["--cases", "none*"], "unknown case 'none*'"),
        (["--estimators", ","], "no estimator given"),
        (["--pivot", "--by", "estimator"], "--pivot needs a column"),
        (["--pivot", "--metric", "speed"], "unknown metric 'speed'"),
    ],
)
def test_bad_choices_end_in_one_line(tmp_path, capsys, cell, arguments, message):
    (tmp_path / "records.jsonl").write_bytes(msgspec.json.encode(cell()) + b"\n")
    assert main(["table", "--results", str(tmp_path), *arguments]) == 2
    done = capsys.readouterr()
    assert message in done.err
    assert (done.err.count("\n"), done.out) == (1, "")
