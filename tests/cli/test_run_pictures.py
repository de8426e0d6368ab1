"""The names of a run's pictures: no run replaces the picture of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rdbench.cli.options import RunOptions
from rdbench.cli.run import variants

OPTIONS = RunOptions(suite="vector_gaussian")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, ""),
        ({"dims": "2,5,10"}, ""),  # as the suite has them
        ({"fresh": True, "jobs": 2, "trace": True}, ""),  # the same cells
        ({"dims": "10", "rates": "1,2.50"}, "dims=10-rates=1,2.5"),
        ({"betas": "3"}, "betas=3"),
        ({"estimators": "wgd,ebrd:paper"}, "estimators=wgd,ebrd:paper"),
        ({"seeds": "0,1", "cases": "*d2", "n_train": 100}, "cases=*d2-seeds=0,1-n-train=100"),
        ({"budget": "quick", "units": "bits", "shard": "1/2"}, "budget=quick-shard=1/2-units=bits"),
    ],
)
def test_the_options_that_change_the_picture_are_in_its_name(changes, name):
    assert variants(replace(OPTIONS, **changes)) == {"vector_gaussian": name}


def test_every_suite_has_its_own():
    both = variants(replace(OPTIONS, suite="vector_gaussian,scalar", budget="quick"))
    assert both == dict.fromkeys(("vector_gaussian", "scalar"), "budget=quick")
    assert variants(replace(OPTIONS, suite="vector_gaussian,scalar", dims="3")) == {
        "vector_gaussian": "dims=3",
        "scalar": "",  # it takes none
    }
