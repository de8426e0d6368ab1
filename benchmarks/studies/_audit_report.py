"""The tables of `audit_coverage.py` as one readable page."""

from __future__ import annotations

import csv
from pathlib import Path

_COMMAND = "python benchmarks/studies/audit_coverage.py"


def write_readme(folder: Path) -> None:
    """Write README.md from the CSV files in ``folder``; a table that is not there is left out."""
    parts = [
        "# The audit, audited",
        f"`{_COMMAND}` writes this page and the CSV files it is made of. Fixed seeds; nats; CPU "
        "seconds on one thread.",
    ]
    makers = {
        "coverage": _coverage,
        "heavy": _heavy,
        "upper": _upper,
        "bias": _bias,
        "energies": _energies,
        "rates": _rates,
        "mixtures": _mixtures,
    }
    for name, make in makers.items():
        path = folder / f"{name}.csv"
        if path.exists():
            with path.open() as stream:
                parts += make(list(csv.DictReader(stream)))
    (folder / "README.md").write_text("\n\n".join(parts) + "\n")


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _repeated(rows: list[dict[str, str]], what: str, *, trusted: bool = False) -> str:
    last = ["side `exact`"] if trusted else []
    return _table(
        ["channel", "method", "audits", "true gap", "mean gap (± s.e.)", "half width", what, *last],
        [
            [
                row["case"],
                row["method"],
                row["repetitions"],
                row["true_gap"],
                f"{row['mean_gap']} ± {row['mean_gap_se']}",
                row["half_width"],
                f"{100 * float(row['coverage']):.1f}% ± {100 * float(row['coverage_se']):.1f}",
                *([f"{100 * float(row['trusted']):.0f}%"] if trusted else []),
            ]
            for row in rows
        ],
    )


def _coverage(rows: list[dict[str, str]]) -> list[str]:
    return [
        "## Coverage of the intervals, side `exact`",
        "How often the 95% interval [gap_lo, gap_hi] holds the true gap.",
        _repeated(rows, "coverage"),
    ]


def _heavy(rows: list[dict[str, str]]) -> list[str]:
    return [
        "## Where the gap sits in rare symbols",
        "Budget `default`. Atoms that end somewhere; `wgd` as it is shipped, trained once. Where "
        "the source has neither a line nor a radius and its tail is heavy, the side is `estimate`: "
        "the last column says in how many audits it was not.",
        _repeated(rows, "coverage", trusted=True),
    ]


def _upper(rows: list[dict[str, str]]) -> list[str]:
    return [
        "## Side `upper`",
        "How often gap_hi lies above the true gap. The method is that of the last audit.",
        _repeated(rows, "gap_hi ≥ true gap"),
    ]


def _bias(rows: list[dict[str, str]]) -> list[str]:
    parts = [
        "## Bias against the exact q, d = 10",
        "Audited minus exact F(q) on the same 4,000 symbols, budget `default`, q given as draws "
        "(plug-in with 20,000), density, pushforward or energy. Mean ± standard error over "
        f"{rows[0]['seeds']} seeds, the largest error of one seed, and CPU seconds.",
    ]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    for source in dict.fromkeys(row["source"] for row in rows):
        mine = [row for row in rows if row["source"] == source]
        by = {(row["rate"], row["kind"]): row for row in mine}
        lines = []
        for rate in dict.fromkeys(row["rate"] for row in mine):
            line = [rate]
            for kind in kinds:
                row = by.get((rate, kind))
                line.append("" if row is None else _cell(row))
            lines.append(line)
        parts += [f"**{source}**", _table(["R", *kinds], lines)]
    return parts


def _cell(row: dict[str, str]) -> str:
    return (
        f"{float(row['bias']):.4f} ± {float(row['bias_se']):.4f}, "
        f"largest {float(row['largest_error']):.4f}, {row['cpu_s']} s"
    )


def _energies(rows: list[dict[str, str]]) -> list[str]:
    lines = []
    for family in dict.fromkeys(row["family"] for row in rows):
        mine = [row for row in rows if row["family"] == family]
        lines.append([family, *_summary(mine)])
    lines.append(["all", *_summary(rows)])
    return [
        "## Energies whose F is known",
        "Random covariances, mixtures of 2 to 8 unequal components, and rotated products of "
        "smoothed Laplacian, logistic and skewed coordinates, d = 3 to 20, β = 0.6 to 200; exact "
        "draws of q and p(y|x), budget `default`. Errors of log Z − log Z_x on the same symbols, "
        "of the cases that the gate accepts.",
        _table(
            [
                "family",
                "cases",
                "accepted",
                "mean error",
                "largest error",
                "inside",
                "CPU s, median",
            ],
            lines,
        ),
    ]


def _summary(rows: list[dict[str, str]]) -> list[str]:
    accepted = [row for row in rows if row["accepted"] == "1"]
    errors = [float(row["error"]) for row in accepted]
    seconds = sorted(float(row["cpu_s"]) for row in rows)
    if not errors:
        return [str(len(rows)), "0", "", "", "", f"{seconds[len(seconds) // 2]:.1f}"]
    return [
        str(len(rows)),
        f"{100 * len(accepted) / len(rows):.0f}%",
        f"{sum(errors) / len(errors):.4f}",
        f"{max(errors, key=abs):.4f}",
        f"{sum(row['inside'] == '1' for row in accepted)} of {len(accepted)}",
        f"{seconds[len(seconds) // 2]:.1f}",
    ]


def _rates(rows: list[dict[str, str]]) -> list[str]:
    audits = sum(int(row["audits"]) for row in rows)

    def share(key: str) -> str:
        return f"{100 * sum(int(row[key]) for row in rows) / audits:.1f}%"

    cases = len({row["case"] for row in rows})
    return [
        "## R and D against plain sums",
        f"`python benchmarks/studies/audit_rates.py`; {audits} audits of {cases} cases so far, "
        f"three seeds each. R is inside its interval in {share('rate_inside')}, D in "
        f"{share('distortion_inside')}; impossible: {share('impossible')}.",
    ]


def _mixtures(rows: list[dict[str, str]]) -> list[str]:
    return [
        "## Fitted mixtures in many dimensions",
        "`python benchmarks/studies/audit_mixtures.py`; audited minus exact F(q) on the same "
        "symbols, and what the test of the density leaves open.",
        _table(
            ["case", "R", "exact gap", "error", "left open", "CPU s"],
            [
                [
                    row["case"], row["rate"], row["exact_gap"], row["error"], row["left_open"],
                    row["cpu_s"],
                ]
                for row in rows
            ],
        ),
    ]  # fmt: skip
