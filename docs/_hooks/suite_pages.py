"""Markdown about the suites, from the suites themselves."""

from __future__ import annotations

from collections.abc import Sequence

from markup import flat, table

from rdbench import registry
from rdbench.types import Case, Suite

_CERTIFICATES = "[Certificates](../certificates.md)"


def overview() -> str:
    """One row per registered suite of this package, with a link to its page."""
    rows = []
    for name in registry.names("suite"):
        if registry.find("suite", name).origin != "rdbench":
            continue
        suite = registry.load_suite(name)
        cases = suite.cases()
        rows.append(
            (
                f"[{name}]({name}.md)",
                flat(suite.summary),
                str(len(cases)),
                ", ".join(str(d) for d in sorted({c.problem.source.dim for c in cases})),
            )
        )
    return table(("suite", "what it is", "cases", "d"), rows)


def cases(name: str) -> str:
    """Version, dimensions, and every case with its ladder and how its truth is known."""
    suite = registry.load_suite(name)
    found = suite.cases()
    return "\n\n".join(
        [
            f"Version {suite.version}. {_dimensions(suite)}",
            table(
                ("case", "source", "d", "distortion", "target rates R\\*, nats"),
                [_problem(case) for case in found],
            ),
            table(("case", "truth", "valid for"), [_truth(case) for case in found]),
            _citations(found),
        ]
    )


def _dimensions(suite: Suite) -> str:
    if suite.default_dims is None or suite.dim_range is None:
        return "The cases have dimensions of their own, so it takes no `--dims`."
    lo, hi = suite.dim_range
    usual = ", ".join(map(str, suite.default_dims))
    return f"`--dims` takes {lo} to {hi}; the tables show the default, {usual}."


def _problem(case: Case) -> Sequence[str]:
    source, distortion = case.problem.source, case.problem.distortion
    return (
        f"`{case.name}`",
        flat(source.name),
        str(source.dim),
        distortion.name.replace("_", " "),
        ", ".join(f"{rate:.4g}" for rate in case.rates),
    )


def _truth(case: Case) -> Sequence[str]:
    reference = case.reference
    known = getattr(reference, "accuracy", reference.kind)
    return f"`{case.name}`", flat(known), flat(reference.validity)


def _citations(found: Sequence[Case]) -> str:
    """The source of each truth; cases that share it are named together."""
    by_source: dict[str, list[str]] = {}
    for case in found:
        citation = flat(case.reference.citation).replace("docs/certificates.md", _CERTIFICATES)
        by_source.setdefault(citation, []).append(f"`{case.name}`")
    lines = [f"- {', '.join(names)}: {citation}." for citation, names in by_source.items()]
    return "Known from:\n\n" + "\n".join(lines)
