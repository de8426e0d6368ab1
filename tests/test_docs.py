"""What the documents show works as shown, and nothing registered is without a page."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import itertools
import pkgutil
import re
import shlex
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import rdbench.references
import rdbench.sources
from rdbench import registry
from rdbench.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
DOCUMENTS = [*PAGES, *ROOT.glob("*.md"), *sorted((ROOT / "results").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def built_in(kind: registry.Kind) -> list[str]:
    return [n for n in registry.names(kind) if registry.find(kind, n).origin == "rdbench"]


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that mkdocs calls; itself it needs no mkdocs."""
    monkeypatch.syspath_prepend(str(DOCS / "_hooks"))
    return importlib.import_module("site_hooks")


def test_the_readme_names_what_exists() -> None:
    text = (ROOT / "README.md").read_text()
    for kind in ("suite", "estimator"):
        for name in registry.names(kind):
            assert f"`{name}`" in text
    # the table that `make run` prints, one block a case
    for case in ("ramp-d2", "ramp-d5", "ramp-d10"):
        assert re.search(rf"^ {case} ", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for link, _ in LINK.findall(FENCE.sub("", path.read_text())):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_paragraphs_are_set_alike_wherever_they_are_read(path: Path) -> None:
    """A paragraph inside a list is told by two spaces in one dialect of Markdown, four in another:
    none stands there. Neither does a list without an empty line before it."""
    lines = FENCE.sub("", path.read_text()).splitlines()
    for before, line in itertools.pairwise(lines):
        assert before or not re.match(r" {1,3}\S", line), line
        if before and not re.match(r" |[-*] |\d+\. ", before):
            assert not re.match(r"[-*] |1\. ", line), line


def test_every_estimator_and_suite_has_a_page_with_all_that_is_generated() -> None:
    for name in built_in("estimator"):
        text = (DOCS / "estimators" / f"{name}.md").read_text()
        for marker in ("facts", "parameters", "presets"):
            assert f"<!-- generated: {marker} {name} -->" in text
    for name in built_in("suite"):
        assert f"<!-- generated: cases {name} -->" in (DOCS / "suites" / f"{name}.md").read_text()


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"^ +- ([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {page.relative_to(DOCS).as_posix() for page in PAGES}
    assert set(listed) == pages | {"CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/peers/README.md"}
    assert len(listed) == len(set(listed))


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


@pytest.mark.parametrize("name", built_in("estimator"))
def test_every_parameter_is_listed_with_its_default_and_every_preset(
    hooks: ModuleType, name: str
) -> None:
    text = hooks.filled((DOCS / "estimators" / f"{name}.md").read_text())
    cls: Any = registry.load_estimator(name)
    for field in dataclasses.fields(cls):
        assert re.search(rf"^\| `{field.name}` \| `{field.default}` \| ", text, re.MULTILINE)
    for preset in cls.info.presets:
        assert f"`{name}:{preset}`" in text
    assert " ".join(cls.info.citation.split()) in text


def test_what_a_field_says_of_itself_is_shown(hooks: ModuleType) -> None:
    table = {
        name: hooks.GENERATED["parameters"](name)
        for name in ("mixture_em", "ebrd", "wgd")  # a section Args, an ancestor, the class
    }
    assert "| the most components; held-out likelihood chooses, at" in table["mixture_em"]
    assert "| Most EM iterations at every slope. |" in table["ebrd"]
    assert "| n, the number of atoms. |" in table["wgd"]


@pytest.mark.parametrize("name", built_in("suite"))
def test_every_case_is_listed_with_its_truth(hooks: ModuleType, name: str) -> None:
    text = hooks.filled(f"<!-- generated: cases {name} -->")
    suite = registry.load_suite(name)
    assert f"Version {suite.version}." in text
    for case in suite.cases():
        assert len(re.findall(rf"^\| `{re.escape(case.name)}` \|", text, re.MULTILINE)) == 2
        assert re.search(rf"^- .*`{re.escape(case.name)}`.*: ", text, re.MULTILINE)


def test_a_marker_that_means_nothing_ends_the_build(hooks: ModuleType) -> None:
    with pytest.raises(KeyError):
        hooks.filled("<!-- generated: nothing ebrd -->")
    with pytest.raises(rdbench.types.RdbenchError, match="unknown estimator"):
        hooks.filled("<!-- generated: facts nobody -->")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere_in_the_site_as_well(hooks: ModuleType, path: Path) -> None:
    repository = hooks.repository
    here = path.relative_to(ROOT).as_posix()
    if here == "README.md":
        return  # no page of the site
    inside = [page.relative_to(ROOT).as_posix() for page in PAGES]
    outside = repository.gathered(inside)
    sources = {repository.in_site(p) for p in [*inside, *outside]}
    sources |= {p.relative_to(DOCS).as_posix() for p in (DOCS / "img").iterdir()}
    folder = Path(repository.in_site(here)).parent
    for link, _ in LINK.findall(FENCE.sub("", repository.relinked(here, path.read_text()))):
        if "://" not in link:
            target = Path("/", folder, link).resolve().relative_to("/").as_posix()
            assert target in sources, link
    assert repository.in_repository(repository.in_site(here)) == here


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


def test_the_commands_that_are_shown_exist() -> None:
    group: Any = typer.main.get_command(app)
    seen = 0
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for language, block in FENCE.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                if language == "console" and line.startswith("rdbench "):
                    name, *rest = shlex.split(line, comments=True)[1:]
                    group.commands[name].make_context(name, rest)  # raises at what is unknown
                    seen += 1
    assert seen > 20


def test_the_interface_pages_name_modules_that_exist_and_leave_out_no_source() -> None:
    named = set()
    for page in (DOCS / "api").glob("*.md"):
        named |= set(re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE))
    for name in named:
        assert importlib.util.find_spec(name) is not None, name
    for package in (rdbench.sources, rdbench.references):
        modules = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        assert {m.name for m in modules if not m.ispkg} <= named


def test_the_source_reference_and_suite_that_are_shown_work(
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
                exec(compile(block, "extend.md", "exec"), {})
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
