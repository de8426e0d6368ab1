"""The form of a class, and the ways of naming one on the command line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rdbench.check import check_estimator
from rdbench.check.load import load
from rdbench.check.protocol import protocol
from rdbench.cli import main
from rdbench.types import EstimatorInfo, RdbenchError

PLANTS = Path(__file__).parent / "plants"
INFO = EstimatorInfo(summary="none", citation="none")


def fit(self: Any, view: Any, betas: Any, generator: Any, monitor: Any) -> Any:
    yield from ()


def made(*fields: Any, frozen: bool = True, **attributes: Any) -> Any:
    """An estimator in form, but for what is given."""
    own = {"info": INFO, "fit": fit, **attributes}
    usual = [("atoms", int, 3), ("rate", float | None, None)]
    return dataclasses.make_dataclass("Made", [*fields, *usual], namespace=own, frozen=frozen)


@dataclass(frozen=True)
class NoInfo:
    atoms: int = 3


class NoDataclass:
    info = INFO


def with_info(**changes: Any) -> Any:
    return made(info=dataclasses.replace(INFO, **changes))


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (made(frozen=False), "not frozen"),
        (made(("points", int)), "points has no default"),
        (made(("measure", object, field(default_factory=object))), "measure is not plain JSON"),
        (made(fit=lambda self, view, beta: None), "fit takes (view, beta)"),
        (NoInfo, "no info"),
        (NoDataclass, "no dataclass"),
        (with_info(citation=" "), "info.citation is empty"),
        (with_info(presets={"paper": {"atoms": 2}}), "info.preset_notes says nothing of"),
        (with_info(presets={"paper": {"atom": 2}}, preset_notes={"paper": "-"}), "no parameters"),
        (with_info(not_invariant=frozenset({"mirror"})), "'mirror'"),
        (with_info(not_invariant=frozenset({"shift:papr"})), "'shift:papr'"),
    ],
)
def test_a_class_out_of_form(cls, words):
    found = protocol(cls)
    assert found.verdict == "fail"
    assert words in found.message


def test_a_class_in_form():
    assert protocol(made()).verdict == "pass"
    noted = with_info(presets={"paper": {"atoms": 2}}, preset_notes={"paper": "-"})
    assert protocol(noted).message.endswith("presets: default, paper")


def test_without_info_nothing_else_is_tried():
    first, *others = check_estimator(NoInfo)
    assert first.verdict == "fail"
    assert {one.verdict for one in others} == {"skip"}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nonsense", "MODULE:CLASS"),
        ("no.such.module:Thing", "is it installed"),
        ("rdbench.types.problem:Viev", "did you mean View?"),
        ("no_such_file.py:Thing", "there is no file"),
        ("blahut_arimoto:papr", "unknown preset"),
        ("rdbench.types:", "MODULE:CLASS"),
        (f"{PLANTS / 'planted.py'}:DRAWS", "is a int, not a class"),
        (f"{PLANTS / 'planted.py'}:Gaussian", "cannot be made without arguments"),
    ],
)
def test_a_target_that_is_none_is_one_line(target, words, capsys):
    assert main(["check", target]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert words in err


def test_an_import_with_consequences_is_told():
    found = load(f"{PLANTS / 'seeding.py'}:Seeding")
    assert found.imported.verdict == "fail"
    assert "torch's global random state" in found.imported.message


def test_a_broken_module_is_one_line(tmp_path):
    broken = tmp_path / "broken_estimator.py"
    broken.write_text("raise SystemExit(3)\n")
    with pytest.raises(RdbenchError, match="SystemExit: 3"):
        load(f"{broken}:Thing")


def test_the_command_passes_and_fails(capsys):
    target = f"{PLANTS / 'planted.py'}:Planted"
    assert main(["check", target, "--only", "answers,budget"]) == 0
    out = capsys.readouterr().out
    assert "ok   protocol" in out
    assert "4 checks: 4 passed, 0 failed, 0 skipped" in out
    assert main(["check", f"{PLANTS / 'seeding.py'}:Seeding", "--only", "answers"]) == 1
    assert "FAIL protocol" in capsys.readouterr().out


def test_what_a_failure_leaves_out_is_one_line(capsys):
    assert main(["check", f"{PLANTS / 'seeding.py'}:Seeding"]) == 1
    out = capsys.readouterr().out
    assert out.count("mend that first") == 1
    assert "23 others" in out


@pytest.mark.parametrize("options", [["--effort", "0"], ["--only", "unit"], ["--only", ""]])
def test_bad_options(options, capsys):
    assert main(["check", "blahut_arimoto", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
