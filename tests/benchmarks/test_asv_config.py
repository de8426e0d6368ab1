"""asv.conf.json installs what constraints.txt says, and keeps its results apart from its builds."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def config():
    # asv reads it with json5, which comes with asv: `make test` needs neither.
    lines = (ROOT / "asv.conf.json").read_text().splitlines()
    return json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))


@pytest.fixture(scope="module")
def pinned(config):
    return {
        canonical(name.removeprefix("pip+")): version
        for name, version in config["matrix"]["req"].items()
    }


def test_every_pin_is_that_of_the_constraints(pinned):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    constraints = {canonical(name): [version] for name, version in pins.items()}
    assert {name: constraints.get(name) for name in pinned} == pinned


def test_every_dependency_is_pinned(pinned):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {canonical(re.split("[<>=!~ ]", line)[0]) for line in project["dependencies"]}
    assert names <= set(pinned)


def test_threads_are_pinned_to_one(config):
    from benchmarks._cases import pinned

    assert config["matrix"]["env_nobuild"] == {name: ["1"] for name in pinned({})}


def test_what_is_installed_below_is_pinned_by_the_constraints(config):
    (command,) = config["install_command"]
    assert "-c {conf_dir}/constraints.txt" in command
    assert "--no-deps" in config["build_command"][0]


def test_builds_are_ignored_and_results_are_not(config):
    ignored = (ROOT / ".gitignore").read_text().split()
    assert ".asv/" in ignored
    assert config["env_dir"].startswith(".asv/")
    assert config["html_dir"].startswith(".asv/")
    assert config["results_dir"] == "results/asv"


def test_every_suite_has_its_threshold(config):
    suites = {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    assert {name.partition("\\")[0] for name in config["regressions_thresholds"]} == suites
