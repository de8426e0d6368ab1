"""The gate around its measurements: commits, environments, workers, exit codes; no torch needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gate import __main__ as gate
from benchmarks.gate import calls, kernels, sides
from benchmarks.gate.environment import check_packages, import_problem, interpreters, needs
from benchmarks.gate.errors import BadInput, Broken
from benchmarks.gate.options import parse
from benchmarks.gate.selection import choose
from benchmarks.gate.sides import Side

KERNELS = """
import os, signal, time
from types import SimpleNamespace
import rdbench

def kernel(work, check=lambda result: None):
    return lambda: SimpleNamespace(work=work, check=check, iterations=1)

def spin():
    end = time.process_time() + rdbench.SPIN
    while time.process_time() < end:
        pass
    print("a library that prints")

def wrong(result):
    assert rdbench.RIGHT, "the sum is off by 3"

def absent():
    if not rdbench.RIGHT:
        raise NotImplementedError
    return kernel(spin)()

def die():
    if not rdbench.RIGHT:
        os.kill(os.getpid(), signal.SIGSEGV)

def slow_death():
    spin()
    if not rdbench.RIGHT and rdbench.__dict__.setdefault("calls", 0) > 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    rdbench.calls = rdbench.__dict__.get("calls", 0) + 1

def hang():
    while not rdbench.RIGHT:
        time.sleep(0.01)

KERNELS = {
    "spin": kernel(spin), "wrong": kernel(spin, wrong), "absent": absent, "die": kernel(die),
    "slow_death": kernel(slow_death), "hang": kernel(hang),
}
"""
GOOD = "RIGHT = True\nSPIN = 0.002\n"
BAD = "RIGHT = False\nSPIN = 0.004\n"


def make_side(folder: Path, name: str, code: str) -> Side:
    source = folder / name / "source"
    (source / "rdbench").mkdir(parents=True)
    (source / "rdbench" / "__init__.py").write_text(code)
    (source / "rdbench" / "cli.py").write_text("")
    work = folder / name / "work"
    work.mkdir()
    return Side(name, name, source, work, sys.executable)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    folder = tmp_path / "tools"
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "__init__.py").write_text("")
    (folder / "benchmarks" / "_kernels.py").write_text(KERNELS)
    monkeypatch.setattr(calls, "TOOLS", folder)
    return folder


def look(tmp_path: Path, kernel: str, base: str, head: str):
    ours, theirs = make_side(tmp_path, "BASE", base), make_side(tmp_path, "HEAD", head)
    with kernels.Bench(ours, theirs) as bench:
        return kernels.first_look(bench, f"kernel/{kernel}", 1.25)


def test_the_two_sides_run_their_own_code(tmp_path, tools):
    # The work is set in CPU seconds, so the ratio is 2 on any machine, however loaded.
    found = look(tmp_path, "spin", GOOD, BAD)
    assert found.base is not None
    assert found.head is not None
    assert found.base >= 0.002
    assert found.head >= 0.004


@pytest.mark.parametrize(
    ("kernel", "verdict", "words"),
    [
        ("wrong", "fails now", "off by 3"),
        ("absent", "missing", "HEAD absent"),
        ("die", "fails now", "killed by signal 11"),
        ("slow_death", "fails now", "killed by signal 11"),
    ],
)
def test_a_kernel_that_head_cannot_do(tmp_path, tools, kernel, verdict, words):
    found = look(tmp_path, kernel, GOOD, BAD)
    assert found.verdict == verdict
    assert words in found.note


@pytest.mark.parametrize(
    ("kernel", "base", "head", "verdict"),
    [
        ("wrong", BAD, GOOD, "mended"),
        ("absent", BAD, GOOD, "new"),
        ("die", BAD, BAD, "both fail"),
        ("absent", BAD, BAD, "both fail"),
    ],
)
def test_a_kernel_that_head_is_not_to_blame_for(tmp_path, tools, kernel, base, head, verdict):
    assert look(tmp_path, kernel, base, head).verdict == verdict


def test_a_kernel_that_hangs(tmp_path, tools, monkeypatch):
    ours, theirs = make_side(tmp_path, "BASE", GOOD), make_side(tmp_path, "HEAD", BAD)
    healthy = ("ok", "suspected")
    with kernels.Bench(ours, ours) as bench:
        assert kernels.first_look(bench, "kernel/hang", 1.25).verdict in healthy
    with kernels.Bench(theirs, ours) as bench:
        bench.pairs("kernel/spin", 1)  # both have started, however busy the machine is
        monkeypatch.setattr(calls, "LIMIT", 1.5)
        with pytest.raises(kernels.Unmeasured) as said:
            bench.pairs("kernel/hang", 1)
    assert said.value.base is not None
    assert said.value.base.problem == "hangs"


def test_a_worker_ends_with_its_input(tmp_path, tools):
    worker = calls.Worker(make_side(tmp_path, "BASE", GOOD))
    assert worker._process.stdin is not None
    worker._process.stdin.close()
    assert worker._process.wait(timeout=60) == 0
    worker._process.stdin = None
    worker.end()


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


def test_files_that_judge_and_files_that_are_gone_are_told(tmp_path):
    ours, theirs = make_side(tmp_path, "BASE", GOOD), make_side(tmp_path, "HEAD", GOOD)
    for side in (ours, theirs):
        (side.source / "rdbench" / "audit").mkdir()
        (side.source / "rdbench" / "audit" / "sums.py").write_text("")
        (side.source / "estimators").mkdir()
        (side.source / "estimators" / "_part.py").write_text("")
    (ours.source / "estimators" / "nerd.py").write_text("")
    assert sides.modules(ours) - sides.modules(theirs) == {"estimator/nerd"}
    assert sides.differs(ours, theirs, sides.JUDGES) == []
    (theirs.source / "rdbench" / "audit" / "sums.py").write_text("KIND = True\n")
    assert sides.differs(ours, theirs, sides.JUDGES) == ["rdbench/audit"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["HEAD", "nope"],
        ["--", "--upload-pack=x"],
        ["HEAD", "--only", "zzz"],
        ["HEAD", "--only", "kernel/", "--accuracy-only"],
        ["HEAD", "--ratio", "0.5"],
        ["HEAD", "--tolerance", "nan"],
        ["HEAD", "--budget", "tiny"],
        ["HEAD", "--seed", "-1"],
        ["HEAD", "--confirming-seeds", "1"],
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


def test_a_head_whose_own_code_does_not_import_is_a_regression(repo, capsys):
    commit(repo, rdbench__cli_py="import rdbench.gone\n")
    assert gate.main(["HEAD~1", "HEAD"]) == 1
    assert "does not import" in capsys.readouterr().out
    assert list((repo / ".asv" / "gate").iterdir()) == []


def test_a_base_whose_own_code_does_not_import_is_no_verdict(repo, capsys):
    commit(repo, rdbench__cli_py="1 / 0\n")
    commit(repo, rdbench__cli_py="")
    assert gate.main(["HEAD~1", "HEAD"]) == 3
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_missing_package_is_a_broken_environment(repo, capsys):
    commit(repo, rdbench__cli_py="import no_such_package_anywhere\n")
    assert gate.main(["HEAD~1", "HEAD"]) == 3
    said = capsys.readouterr().err
    assert "no_such_package_anywhere" in said
    assert "HEAD" in said


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
    side = make_side(tmp_path, "BASE", GOOD)
    (side.source / "torch.py").write_text("raise ImportError('libtorch.so: no such file')\n")
    with pytest.raises(Broken, match=r"libtorch\.so"):
        check_packages(side)


def test_another_rdbench_that_answers_is_a_broken_environment(tmp_path):
    side = make_side(tmp_path, "BASE", GOOD)
    assert import_problem(side) is None
    elsewhere = tmp_path / "elsewhere"
    os.rename(side.source, elsewhere)
    side.source.mkdir()
    (side.source / "rdbench").symlink_to(elsewhere / "rdbench")
    with pytest.raises(Broken, match="another one"):
        import_problem(side)


def test_a_selection_runs_only_the_cells_it_needs():
    chosen = choose("gap/paper-d2/wgd,start/list", False, True, True)
    assert [cell.name for cell in chosen.cells] == ["paper-d2/wgd"]
    assert len(chosen.metrics) == 4
    assert chosen.timed == ("start/list",)
    everything = choose(None, True, True, True)
    usual = choose(None, False, True, True)
    assert set(usual.cells) < set(everything.cells)
    assert not any(name.startswith("gap/") for name in choose(None, False, False, True).metrics)
    with pytest.raises(BadInput, match="valid"):
        choose("wgd/none", False, True, True)


def test_independent_seeds_never_meet():
    assert parse(["HEAD"]).settings.offset == 0
    assert parse(["HEAD", "--independent-seeds"]).settings.offset > 10_000
