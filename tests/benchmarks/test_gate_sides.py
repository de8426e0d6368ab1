"""The gate around its measurements: commits, environments, exit codes; no torch needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gate import __main__ as gate
from benchmarks.gate import sides
from benchmarks.gate.environment import check_packages, import_problem, interpreters, needs
from benchmarks.gate.errors import BadInput, Broken
from benchmarks.gate.options import choose, parse
from benchmarks.gate.sides import Side


def make_side(folder: Path, name: str) -> Side:
    source = folder / name / "source"
    (source / "rdbench").mkdir(parents=True)
    (source / "rdbench" / "__init__.py").write_text("")
    (source / "rdbench" / "cli.py").write_text("")
    work = folder / name / "work"
    work.mkdir()
    return Side(name, name, source, work, sys.executable)


def git(repo: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(repo), *who, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(repo: Path, **files: str) -> str:
    for name, text in files.items():
        path = repo / name.replace("__", "/").replace("_py", ".py").replace("_toml", ".toml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    git(repo, "add", "--all")
    git(repo, "commit", "-q", "--allow-empty", "-m", "x")
    return git(repo, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A repository with a package rdbench of nothing, which the gate takes for its own."""
    root = tmp_path / "repo"
    (root / "rdbench").mkdir(parents=True)
    (root / "estimators").mkdir()
    (root / "estimators" / "wgd.py").write_text("ESTIMATOR = 1\n")
    (root / "rdbench" / "__init__.py").write_text("")
    (root / "rdbench" / "cli.py").write_text("")
    (root / "rdbench" / "estimators").symlink_to("../estimators")
    (root / "constraints.txt").write_text("# pins\npackaging==0+here # why\nunrelated==1\n")
    (root / "pyproject.toml").write_text('[project]\ndependencies = ["packaging>=20"]\n')
    (root / ".gitignore").write_text(".asv/\n")
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    commit(root)
    monkeypatch.setattr(gate, "ROOT", root)
    monkeypatch.setattr(gate, "check_packages", lambda side: {"python": "3"})
    return root


def test_a_commit_is_unpacked_with_its_links(repo, tmp_path):
    first = git(repo, "rev-parse", "HEAD")
    (repo / "rdbench" / "new.py").write_text("")
    assert sides.commit(repo, "main") == first
    target = tmp_path / "target"
    sides.unpack(repo, first, target)
    side = Side("BASE", "", target, tmp_path, sys.executable)
    assert (target / "rdbench" / "estimators" / "wgd.py").read_text() == "ESTIMATOR = 1\n"
    assert not (target / "rdbench" / "new.py").exists()
    assert side.offers("estimators", "wgd")
    assert not side.offers("estimators", "nerd")


def test_the_working_tree_is_taken_as_it_is_and_the_index_is_left_alone(repo, tmp_path):
    assert sides.working_tree(repo) is None
    (repo / "notes.txt").write_text("not watched")
    assert sides.working_tree(repo) is None
    (repo / "rdbench" / "new.py").write_text("NEW = 1\n")
    (repo / "estimators" / "wgd.py").unlink()
    before = git(repo, "status", "--porcelain")
    tree = sides.working_tree(repo)
    assert tree is not None
    assert git(repo, "status", "--porcelain") == before
    target = tmp_path / "target"
    sides.unpack(repo, tree, target)
    assert (target / "rdbench" / "new.py").exists()
    assert not (target / "estimators").exists()


def test_a_folder_that_is_gone_altogether_is_a_change(repo):
    shutil.rmtree(repo / "estimators")
    tree = sides.working_tree(repo)
    assert tree is not None
    assert "estimators" not in git(repo, "ls-tree", "--name-only", tree).splitlines()


def test_what_is_gone_is_told_and_a_file_that_became_a_folder_is_not(tmp_path):
    ours, theirs = make_side(tmp_path, "BASE"), make_side(tmp_path, "HEAD")
    for path in ("BASE/_part.py", "BASE/nerd.py", "BASE/wgd.py", "HEAD/wgd/__init__.py"):
        side, _, name = path.partition("/")
        file = tmp_path / side / "source" / "estimators" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert sides.gone(ours, theirs) == ["estimator/nerd"]


def test_files_that_judge_are_told(repo):
    first = commit(repo, rdbench__distortions_py="")
    (repo / "rdbench" / "sources").mkdir()
    second = commit(repo, rdbench__sources__new_py="", rdbench__cli_py="1")
    assert sides.differs(repo, first, first) == []
    assert sides.differs(repo, first, second) == ["rdbench/sources"]
    third = commit(repo, rdbench__distortions_py="KIND = True\n")
    assert sides.differs(repo, first, third) == ["rdbench/distortions.py", "rdbench/sources"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["HEAD", "nope"],
        ["--", "--upload-pack=x"],
        ["HEAD", "--only", "zzz"],
        ["HEAD", "--only", "kernel/"],
        ["HEAD", "--ratio", "0.5"],
        ["HEAD", "--tolerance", "nan"],
        ["HEAD", "--seed", "-1"],
        ["HEAD", "--json", "no/such/folder/x.json"],
        [],
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(repo, capsys, arguments):
    assert gate.main(arguments) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("error: ")
    assert said.out == ""
    assert not (repo / ".asv").exists()


@pytest.mark.parametrize(
    ("base", "head", "code", "says"),
    [
        ("", "import rdbench.gone\n", 1, "does not import"),
        ("1 / 0\n", "", 3, "ZeroDivisionError"),
        ("", "import no_such_package_anywhere\n", 3, "no_such_package_anywhere"),
    ],
    ids=["HEAD's own code", "BASE's own code", "a package that is asked for"],
)
def test_who_is_to_blame_where_something_does_not_import(repo, capsys, base, head, code, says):
    commit(repo, rdbench__cli_py=base)
    commit(repo, rdbench__cli_py=head)
    assert gate.main(["HEAD~1", "HEAD"]) == code
    said = capsys.readouterr()
    assert says in (said.out if code == 1 else said.err)
    assert list((repo / ".asv" / "gate").iterdir()) == []


def test_a_package_that_head_does_not_ask_for_is_heads_fault(repo, capsys):
    (repo / "constraints.txt").write_text("unrelated==1\n")
    commit(repo)
    commit(repo, rdbench__cli_py="import no_such_package_anywhere\n")
    assert gate.main(["HEAD~1", "HEAD"]) == 1
    said = capsys.readouterr().out
    assert "does not import" in said
    assert "no_such_package_anywhere" in said


def test_pins_that_cannot_be_installed_are_a_broken_environment(repo, capsys, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (repo / "constraints.txt").write_text("packaging==99+nowhere\n")
    commit(repo)
    assert gate.main(["HEAD", "HEAD~1"]) == 3
    said = capsys.readouterr().err
    assert "pip install" in said
    assert "packaging" in said
    assert [p.name for p in (repo / ".asv" / "gate").iterdir()] == []


def test_only_pins_of_what_is_needed_at_run_time_count(repo):
    before = needs(repo, "HEAD")
    assert before.pins == ("packaging==0+here",)
    assert not before.met_here
    (repo / "constraints.txt").write_text("packaging==0+here\nunrelated==2\n")
    assert needs(repo, "HEAD") == before
    # Both ask for the same: the comparison is fair in the interpreter at hand.
    assert interpreters(repo, (repo, repo)) == (sys.executable, sys.executable)


def test_an_unreadable_project_is_a_broken_environment(repo):
    (repo / "pyproject.toml").write_text("[project")
    with pytest.raises(Broken, match="BASE"):
        needs(repo, "BASE")


def test_a_package_that_cannot_calculate_is_a_broken_environment(tmp_path):
    side = make_side(tmp_path, "BASE")
    (side.source / "torch.py").write_text("raise ImportError('libtorch.so: no such file')\n")
    with pytest.raises(Broken, match=r"libtorch\.so"):
        check_packages(side)


def test_another_rdbench_that_answers_is_a_broken_environment(tmp_path):
    side = make_side(tmp_path, "BASE")
    assert import_problem(side) is None
    elsewhere = tmp_path / "elsewhere"
    os.rename(side.source, elsewhere)
    side.source.mkdir()
    (side.source / "rdbench").symlink_to(elsewhere / "rdbench")
    with pytest.raises(Broken, match="another one"):
        import_problem(side)


def test_a_selection_runs_only_the_cells_it_needs():
    metrics, cells = choose("gap/paper-d2/wgd,fit/paper-d2/wgd", False)
    assert [cell.name for cell in cells] == ["paper-d2/wgd"]
    assert len(metrics) == 4
    assert set(choose(None, False)[1]) < set(choose(None, True)[1])
    assert all(name.startswith("gap/") for name in choose("gap/", False)[0])
    with pytest.raises(BadInput, match="valid"):
        choose("wgd/none", False)


def test_independent_seeds_never_meet():
    assert parse(["HEAD"]).offset == 0
    assert parse(["HEAD", "--independent-seeds"]).offset > 10_000
