"""The documents agree with the code, link to what exists, and nothing registered lacks a page."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import itertools
import re
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from rdbench import registry
from rdbench.audit.size import SIZES
from rdbench.certify import certificate
from rdbench.cli.commands import app
from rdbench.columns import TABLES, markdown
from rdbench.report.claims import Verdict
from rdbench.report.metrics import METRICS
from rdbench.report.paired import Holds
from rdbench.types import ConditionalKind, Grant, Marginal, RdbenchError, Side, Status

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NOTEBOOK_PAGES = [path.with_suffix(".md") for path in sorted(DOCS.rglob("*.ipynb"))]
DOCUMENTS = [*PAGES, *ROOT.glob("*.md"), *sorted((ROOT / "results").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)


def built_in(kind: registry.Kind) -> list[str]:
    return [n for n in registry.names(kind) if registry.find(kind, n).origin == "rdbench"]


@pytest.fixture(scope="module")
def hooks() -> Iterator[ModuleType]:
    """The module that mkdocs calls; itself it needs no mkdocs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_hooks"))
        yield importlib.import_module("site_hooks")


@pytest.fixture(scope="module")
def sources(hooks: ModuleType) -> set[str]:
    """The paths, among the sources of the site, of all its pages and pictures."""
    inside = [name_of(page) for page in PAGES]
    paths = [*inside, *hooks.repository.gathered(inside)]
    pictures = {p.relative_to(DOCS).as_posix() for p in (DOCS / "img").iterdir()}
    return {hooks.repository.in_site(path) for path in paths} | pictures


def test_the_readme_names_what_exists() -> None:
    text = (ROOT / "README.md").read_text()
    tables = re.findall(r"^\| (suite|estimator) \|.*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert [kind for kind, _ in tables] == ["suite", "estimator"]
    for kind, rows in tables:
        # an estimator may be there before the README says so: its page is what it needs
        assert set(re.findall(r"^\| `(\w+)`", rows, re.MULTILINE)) <= set(registry.names(kind))
    assert all(f"| `{name}` |" in tables[0][1] for name in built_in("suite"))
    # the table that `make run` prints, one block a case
    for case in ("ramp-d2", "ramp-d5", "ramp-d10"):
        assert re.search(rf"^ {case} ", text, flags=re.MULTILINE)


def test_the_glossary_has_every_value_that_users_meet() -> None:
    first_columns = re.findall(r"^\| (.*?) \| ", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    entries = {entry for column in first_columns for entry in re.findall(r"`(.+?)`", column)}
    enumerations = (Status, Side, ConditionalKind, Grant, Verdict, Holds, certificate.Kind)
    values = {value for one in enumerations for value in typing.get_args(one)}
    values |= {
        "closed form",
        *METRICS,
        *SIZES,
        *TABLES,
        *(c.__name__ for c in typing.get_args(Marginal)),
    }
    assert values - entries == set()


@pytest.mark.parametrize("path", [*DOCUMENTS, *ROOT.glob("examples/*/*.md")], ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    for link, _ in LINK.findall(FENCE.sub("", path.read_text())):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@every_document
def test_paragraphs_are_set_alike_wherever_they_are_read(path: Path) -> None:
    """A paragraph inside a list is told by two spaces in one dialect of Markdown, four in another:
    none stands there. Neither does a list without an empty line before it."""
    lines = FENCE.sub("", path.read_text()).splitlines()
    for before, line in itertools.pairwise(lines):
        assert before or not re.match(r" {1,3}\S", line), line
        if before and not re.match(r" |[-*] |\d+\. ", before):
            assert not re.match(r"[-*] |1\. ", line), line


@every_document
def test_links_lead_somewhere_in_the_site_as_well(
    hooks: ModuleType, sources: set[str], path: Path
) -> None:
    repository = hooks.repository
    here = name_of(path)
    if here == "README.md":
        return  # no page of the site
    folder = Path(repository.in_site(here)).parent
    for link, _ in LINK.findall(FENCE.sub("", repository.relinked(here, path.read_text()))):
        if "://" not in link:
            target = Path("/", folder, link).resolve().relative_to("/").as_posix()
            assert target in sources, link
    assert repository.in_repository(repository.in_site(here)) == here


def test_every_page_is_in_the_navigation(hooks: ModuleType) -> None:
    listed = re.findall(r"^ +- ([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    listed += [page for kind in hooks.SECTIONS.values() for page in hooks.pages_of(kind)]
    pages = [page.relative_to(DOCS).as_posix() for page in PAGES]
    pages += [path.relative_to(DOCS).as_posix() for path in NOTEBOOK_PAGES]
    elsewhere = ["CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/peers/README.md"]
    assert sorted(listed) == sorted([*pages, *elsewhere])


def test_every_command_and_option_is_in_the_reference(hooks: ModuleType) -> None:
    text = hooks.filled((DOCS / "command-line.md").read_text())
    group: Any = typer.main.get_command(app)
    sections = dict(re.findall(r"^## rdbench (\S+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    for name, command in group.commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[0] in sections[name]
            assert " ".join(parameter.help.split())[:20] in sections[name]
    assert set(sections) == {*group.commands}


def test_the_columns_are_listed() -> None:
    assert markdown() in (DOCS / "tables.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", built_in("estimator"))
def test_the_page_of_an_estimator_has_its_parameters_and_presets(
    hooks: ModuleType, name: str
) -> None:
    text = hooks.filled((DOCS / "estimators" / f"{name}.md").read_text())
    cls: Any = registry.load_estimator(name)
    for field in dataclasses.fields(cls):
        assert re.search(rf"^\| `{field.name}` \| `{field.default}` \| ", text, re.MULTILINE)
    for preset in cls.info.presets:
        assert f"`{name}:{preset}`" in text
    assert " ".join(cls.info.citation.split()) in text


def test_a_parameter_is_shown_with_its_docstring(hooks: ModuleType) -> None:
    table = {
        name: hooks.GENERATED["parameters"](name)
        for name in ("mixture_em", "ebrd", "wgd")  # a section Args, an ancestor, the class
    }
    assert "| The most components" in table["mixture_em"]
    assert "EM iterations at every slope. |" in table["ebrd"]
    assert "| n, the number of atoms. |" in table["wgd"]


@pytest.mark.parametrize("name", built_in("suite"))
def test_the_page_of_a_suite_has_its_cases_with_their_truth(hooks: ModuleType, name: str) -> None:
    text = hooks.filled((DOCS / "suites" / f"{name}.md").read_text())
    suite = registry.load_suite(name)
    assert f"Version {suite.version}." in text
    for case in suite.cases():
        assert len(re.findall(rf"^\| `{re.escape(case.name)}` \|", text, re.MULTILINE)) == 2
        assert re.search(rf"^- .*`{re.escape(case.name)}`.*: ", text, re.MULTILINE)


@pytest.mark.parametrize(
    "name", ["elevation", "mnist_rows", "noisy_images", "photographs", "real_data"]
)
def test_a_suite_of_real_data_names_licence_and_loader(name: str) -> None:
    text = " ".join((DOCS / "suites" / f"{name}.md").read_text().split())
    assert re.search(r"Creative Commons|public domain", text)
    assert re.search(r"Loader: .*?`[\w.]+\(", text)
    assert "othing is downloaded" in text


def test_a_marker_that_means_nothing_ends_the_build(hooks: ModuleType) -> None:
    with pytest.raises(KeyError):
        hooks.filled("<!-- generated: nothing ebrd -->")
    with pytest.raises(RdbenchError, match="unknown estimator"):
        hooks.filled("<!-- generated: facts nobody -->")


def test_the_interface_pages_name_modules_that_exist(hooks: ModuleType) -> None:
    for page in (DOCS / "api").glob("*.md"):
        named = re.findall(r"^::: ([\w.]+)$", hooks.filled(page.read_text()), re.MULTILINE)
        assert named
        for name in named:
            assert importlib.util.find_spec(name) is not None, name


def test_formulas_are_set_and_code_is_left(hooks: ModuleType) -> None:
    def made(text: str) -> str:
        return str(hooks.formulas.set_in_html(text))

    assert made("R^d, e^{−βρ(x, y_j)}, 2^(−i/10)\n") == (
        "R<sup>d</sup>, e<sup>−βρ(x, y<sub>j</sub>)</sup>, 2<sup>−i/10</sup>\n"
    )
    same = "`y_j` gap_lo [the page](a_b.md)\n```python\ny_j = x^2\n\n    indented = 1\n\n```\n"
    assert made(same) == same
    assert made("Then\n\n    Z(x) < E_{Y~q} e^{−β}\n\nend") == (
        'Then\n\n<div class="formula">Z(x) &lt; E<sub>Y~q</sub> e<sup>−β</sup></div>\n\nend'
    )


def test_what_the_page_for_extending_shows_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (DOCS / "extend.md").read_text()
    marked = re.findall(r"^<!-- (file: \S+|run) -->\n```\w+\n(.*?)^```", text, re.M | re.S)
    (tmp_path / "rdbench_smoothed").mkdir()
    for mark, block in marked:
        if mark != "run":
            (tmp_path / mark.removeprefix("file: ")).write_text(block)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        for mark, block in marked:
            if mark == "run":
                names: dict[str, Any] = {}
                exec(compile(block, "extend.md", "exec"), names)
                for test in [one for name, one in names.items() if name.startswith("test_")]:
                    test()
        assert capsys.readouterr().out.startswith("Bracket(")
        # as pip would install it
        project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
        (points,) = project["entry-points"].items()
        info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 0.1\n")
        lines = [f"[{points[0]}]", *(f"{name} = {value}" for name, value in points[1].items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        for case in registry.load_suite("smoothed").cases():
            for rate in case.rates:
                point = case.reference.point(case.reference.slope(rate))
                assert point.rate.mid == pytest.approx(rate)
    finally:
        for name in [n for n in sys.modules if n.startswith("rdbench_smoothed")]:
            del sys.modules[name]
