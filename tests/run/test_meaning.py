"""Edits of the real code, and the cells whose identity they change."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rdbench import registry
from rdbench.certify.plane import certify_plane
from rdbench.registry import EstimatorChoice
from rdbench.run import meaning
from rdbench.run.meaning import definitions, modules
from rdbench.run.meaning.modules import IMPORTED, Symbol, source_of
from rdbench.sources.banana import BananaSource
from rdbench.types import Case, Problem, RdbenchError

pytestmark = pytest.mark.trials  # every edit is read with every estimator: 6 s each

SUITES = ("planar", "scalar")


Sources = Callable[[dict[str, str]], AbstractContextManager[None]]
Edited = Callable[[dict[str, str]], "Code"]


class Code(NamedTuple):
    """The digests of everything in `SUITES` with every estimator."""

    framework: str
    cases: dict[str, str]
    estimators: dict[str, str]


def clear() -> None:
    for cached in (
        definitions.definition_of, definitions._text, modules.read_module,
        meaning.of_framework, meaning.of_estimator, meaning._content,
    ):  # fmt: skip
        cached.cache_clear()


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {
        f"{name}/{case.name}": case
        for name in SUITES
        for case in registry.load_suite(name).cases(None)
    }


@pytest.fixture(scope="module")
def choices() -> list[EstimatorChoice]:
    return registry.choose_all("all")


@pytest.fixture(scope="module")
def look(cases: dict[str, Case], choices: list[EstimatorChoice]) -> Callable[[], Code]:
    """The digests of the code as it is now."""

    def looked() -> Code:
        clear()
        return Code(
            meaning.of_framework(),
            {name: meaning.of_case(case) for name, case in cases.items()},
            {c.name: meaning.of_estimator(type(c.estimator)) for c in choices},
        )

    return looked


@pytest.fixture(scope="module")
def before(look: Callable[[], Code]) -> Code:
    return look()


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    """Within ``sources({module: text, ...})`` the code reads like that."""

    @contextmanager
    def reading(changed: dict[str, str]) -> Iterator[None]:
        files: dict[str, Path] = {}
        for module, text in changed.items():
            files[module] = tmp_path / f"{module}.py"
            files[module].write_text(text)
        with monkeypatch.context() as patch:
            patch.setattr(modules, "source_of", lambda m: files.get(m) or source_of(m))
            clear()
            yield
        clear()

    return reading


@pytest.fixture
def edited(sources: Sources, look: Callable[[], Code]) -> Edited:
    """``edited({module: text, ...})``: the digests with these sources."""

    def edit(changed: dict[str, str]) -> Code:
        with sources(changed):
            return look()

    return edit


def text_of(module: str) -> str:
    file = source_of(module)
    assert file is not None
    return file.read_text()


def with_another_number(symbol: Symbol) -> dict[str, str]:
    """The source with the first number of a definition changed; without one, with a statement."""
    tree = ast.parse(text_of(symbol.module))
    module = modules.read_module(symbol.module)
    assert module is not None
    (there,) = module.definitions[symbol.name]
    node = next(n for n in tree.body if n.lineno == there.lineno)
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and type(one.value) in (int, float):
            one.value += 1  # type: ignore[operator]
            break
    else:
        assert isinstance(node, ast.FunctionDef)
        node.body.append(ast.Expr(ast.Call(ast.Name("print", ast.Load()), [], [])))
    return {symbol.module: ast.unparse(tree)}


def found(name: str) -> Symbol:
    """The definition of that name on the way of every cell, wherever it stands."""
    everything = definitions.reached(meaning.FRAMEWORK, stop=meaning.BOOKKEEPING)
    (one,) = [symbol for symbol in everything if symbol.name == name]
    return one


def chatter(text: str) -> str:
    """The same code with other comments, docstrings and annotations."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant("Another docstring."))
        if isinstance(node, ast.FunctionDef):
            node.returns = ast.Name("object", ast.Load())
            for argument in node.args.args:
                argument.annotation = ast.Constant("Another")
    return "# a comment\n" + ast.unparse(tree)


def test_comments_docstrings_and_annotations_void_nothing(before: Code, edited: Edited) -> None:
    roots = [*meaning.FRAMEWORK, (certify_plane.__module__, "certify_plane")]
    modules = {symbol.module for symbol in definitions.reached(roots)}
    after = edited({module: chatter(text_of(module)) for module in sorted(modules)})
    assert after == before


def test_a_moved_helper_and_a_renamed_module_void_nothing(before: Code, edited: Edited) -> None:
    seeds = text_of("rdbench.run.seeds")
    helper = seeds[seeds.index("def _plain") :]
    moved = {
        "rdbench.run.seeds": seeds.replace(helper, "from rdbench.run.elsewhere import _plain\n"),
        "rdbench.run.elsewhere": "from typing import Any\n" + helper,
    }
    assert edited(moved) == before
    everywhere = {s.module for s in definitions.reached(meaning.FRAMEWORK)}
    renamed = {m: text_of(m).replace("rdbench.run.sealed", "rdbench.run.shut") for m in everywhere}
    assert edited(renamed | {"rdbench.run.shut": text_of("rdbench.run.sealed")}) == before


@pytest.mark.parametrize(
    "name",
    ["audit", "impossibility", "draw_symbols", "seed_for", "make_view", "_CellRun", "EFFORTS"],
)
def test_a_change_in_the_framework_voids_every_cell(
    before: Code, sources: Sources, name: str
) -> None:
    with sources(with_another_number(found(name))):
        assert meaning.of_framework() != before.framework


def test_a_number_in_a_solver_voids_its_cases(before: Code, edited: Edited) -> None:
    after = edited(with_another_number(Symbol(certify_plane.__module__, "certify_plane")))
    assert (after.framework, after.estimators) == (before.framework, before.estimators)
    changed = {name for name in before.cases if before.cases[name] != after.cases[name]}
    assert changed == {"planar/paper-d2", "planar/banana-d2"}


def test_a_number_in_an_estimator_voids_its_cells(before: Code, edited: Edited) -> None:
    cls = registry.load_estimator("wgd")
    after = edited(with_another_number(Symbol(cls.__module__, cls.__name__)))
    assert (after.framework, after.cases) == (before.framework, before.cases)
    changed = {n for n in before.estimators if before.estimators[n] != after.estimators[n]}
    assert changed == {"wgd"}


def test_the_routes_hold_what_numbers_pass_through() -> None:
    reached = definitions.reached(meaning.FRAMEWORK, stop=meaning.BOOKKEEPING)
    modules_met = {symbol.module for symbol in reached if symbol.name != IMPORTED}
    assert {
        "rdbench.run.seeds", "rdbench.run.views", "rdbench.run.points", "rdbench.run.worker",
        "rdbench.run.guarded", "rdbench.run.draws", "rdbench.types.answer",
    } <= modules_met  # fmt: skip
    others = {m for m in modules_met if m.startswith(("rdbench.estimators", "rdbench.certify"))}
    assert others == {  # the supremum of a lower bound in the plane
        "rdbench.certify.maximum", "rdbench.certify.plane.fields", "rdbench.certify.plane.maximum"
    }  # fmt: skip
    for module in meaning.BOOKKEEPING:
        assert source_of(module) is not None, f"{module} is gone"


def test_the_values_of_a_problem_and_its_reference_count() -> None:
    (banana,) = [c for c in registry.load_suite("planar").cases(None) if c.name == "banana-d2"]
    before = meaning.of_case(banana)
    assert before == meaning.of_case(replace(banana, rates=(1.0,)))  # the ladder is told apart
    wider = Problem(BananaSource(spread=1.5), banana.problem.distortion)
    assert before != meaning.of_case(replace(banana, problem=wider))
    rough = replace(banana.reference, tolerance=0.5)  # type: ignore[type-var]
    assert before != meaning.of_case(replace(banana, reference=rough))
    assert before != meaning.of_case(banana, "somebody's 1.0")


def test_a_constant_of_the_choice_among_solvers_voids_what_chooses_by_it(
    before: Code, edited: Edited
) -> None:
    after = edited({"rdbench.certify.solve": text_of("rdbench.certify.solve").replace(
        "_FAR = 16.0", "_FAR = 17.0"
    )})  # fmt: skip
    changed = {name for name in before.cases if before.cases[name] != after.cases[name]}
    assert {"planar/paper-d2", "planar/banana-d2"} <= changed
    assert "scalar/gaussian-standard" not in changed


def test_a_class_without_a_source_is_refused() -> None:
    made = type("Made", (), {"__module__": "nowhere"})
    with pytest.raises(RdbenchError, match=r"source of nowhere\.Made cannot be read"):
        meaning.of_estimator(made)


def test_values_of_a_shipped_table_count_and_not_its_spelling(tmp_path: Path) -> None:
    file = tmp_path / "table.json"

    def digest(text: str) -> str:
        meaning._content.cache_clear()
        file.write_text(text)
        return meaning._content(file)

    assert digest('{"a": 1, "b": [2.5]}') == digest('{"b":[2.5],\n"a":1}')
    assert digest('{"a": 1, "b": [2.5]}') != digest('{"a": 1, "b": [2.6]}')


def test_what_only_a_check_of_certificates_reads_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "table.json"

    def digest(more: dict[str, Any], **certificate: Any) -> str:
        meaning._content.cache_clear()
        rungs = [{"rate": 1.0, "certificate": {"lo": 0.5, **certificate}}]
        file.write_text(json.dumps({"case": "a", "rungs": rungs, **more}))
        return meaning._content(file)

    evidence = {"format": 1, "problem": {"source": {}}}
    bare = digest({})
    assert digest(evidence, **{"lambda": {"form": "inverse"}}) == bare
    assert digest(evidence, lo=0.6) != bare
    assert digest({"format": 1}) != bare  # no table of certificates: all of it counts


def test_a_plug_in_is_followed_and_its_version_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "plugin"))
    choice = registry.choose("toy")
    cls = type(choice.estimator)
    assert choice.origin != "rdbench"
    own = definitions.reached([(cls.__module__, cls.__name__)], meaning._own(cls.__module__))
    assert "rdbench.types.answer" in {symbol.module for symbol in own}
    assert meaning.of_estimator(cls, "toy 1") != meaning.of_estimator(cls, "toy 2")
