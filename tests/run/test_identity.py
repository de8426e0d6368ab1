"""Seeds, streams and identities: the same content gives the same, in any process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import rdbench
from rdbench import registry
from rdbench.run.plan import Cell, make_plan, shard
from rdbench.run.seeds import canonical, digest, seed_for

PLUGIN = Path(__file__).parent / "plugin"


def cell(spec: str = "toy", **changes: Any) -> Cell:
    suites = [registry.load_suite("toy_coin")]
    (one,) = make_plan(suites, [registry.choose(spec)], **changes).cells
    return one


@pytest.mark.usefixtures("plugged")
def test_shards_are_all_cells_and_none_is_one_estimator() -> None:
    choices = [registry.choose(one) for one in ("toy", "toy:paper", "toy[mode=nan]")]
    cells = make_plan([registry.load_suite("toy_coin")], choices, seeds=range(20)).cells
    parts = [shard(cells, index, len(choices)) for index in (1, 2, 3)]
    assert sorted(one.id for part in parts for one in part) == sorted(one.id for one in cells)
    assert [len(part) for part in parts] == [20, 20, 20]
    for part in parts:
        assert len({one.label for one in part}) == len(choices)


def test_seeds_hash_the_tuple_and_not_the_joined_string() -> None:
    names = [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"), (1, "1"), ("1", 1), (1, 1)]
    seeds = {seed_for(*n) for n in names}
    assert len(seeds) == len(names)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_seed_is_the_same_for_ever() -> None:
    # sha256 of ["suite","case",0,"data"], first 8 bytes, shifted right once
    import hashlib

    by_hand = int(hashlib.sha256(b'["suite","case",0,"data"]').hexdigest()[:16], 16) // 2
    assert seed_for("suite", "case", 0, "data") == by_hand


def test_canonical_json_has_one_spelling() -> None:
    assert canonical({"b": 0.1, "a": (1, None)}) == b'{"a":[1,null],"b":0.1}'
    assert digest({"x": 1, "y": 2}) == digest({"y": 2, "x": 1})
    with pytest.raises(TypeError, match="no canonical JSON"):
        canonical(object())


@pytest.mark.usefixtures("plugged")
def test_the_last_digits_of_a_slope_are_not_in_the_identity() -> None:
    """They come from logarithms, which differ between processors."""
    here, there, elsewhere = (cell(betas=(0.7 * (1.0 + e), 2.0)) for e in (0.0, 4e-15, 1e-6))
    assert here.betas != there.betas
    assert here.id == there.id != elsewhere.id


@pytest.mark.usefixtures("plugged")
def test_an_identity_is_the_same_in_another_process() -> None:
    code = (
        "from rdbench import registry; from rdbench.run.plan import make_plan; "
        "plan = make_plan([registry.load_suite('toy_coin')], [registry.choose('toy[draws=7]')]); "
        "print(plan.cells[0].id)"
    )
    home = str(Path(rdbench.__file__).parent.parent)
    env = {**os.environ, "PYTHONHASHSEED": "12", "PYTHONPATH": os.pathsep.join([str(PLUGIN), home])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == cell("toy[draws=7]").id


@pytest.mark.usefixtures("plugged")
def test_an_identity_is_its_content() -> None:
    base = cell()
    assert base.id == cell().id
    assert base.id == cell("toy[draws=100]").id  # the default, spelt out
    assert cell("toy:paper").id == cell("toy[draws=10]").id
    others = [
        cell("toy[draws=101]"),
        cell(seeds=[1]),
        cell(budgets=["quick"]),
        cell(rates=[0.1]),
        cell(betas=[1.0]),
        cell(n_train=50),
        cell(device="cuda"),
    ]
    assert len({base.id, *(other.id for other in others)}) == 1 + len(others)


@pytest.mark.usefixtures("plugged")
def test_a_ladder_from_rates_has_the_slopes_of_the_reference() -> None:
    one = cell(rates=[0.3, 0.1, 0.3])
    assert one.target_rates == (0.1, 0.3)
    # R(D) of a coin by hand: D = 1 / (1 + e^beta)
    d = 1.0 / (1.0 + torch.exp(torch.tensor(one.betas, dtype=torch.float64)))
    rates = torch.log(torch.tensor(2.0, dtype=torch.float64)) + torch.special.xlogy(d, d)
    rates += torch.special.xlogy(1 - d, 1 - d)
    torch.testing.assert_close(rates, torch.tensor([0.1, 0.3], dtype=torch.float64))
