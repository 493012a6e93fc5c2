"""What an optimizer keeps, as a flat sequence of named values."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import pytest
import torch
from odd_constructors import AroundInstance

from optbench.engine.state import bytes_of, leaves_of, state_bytes

Pair = namedtuple("Pair", "one other")


def test_values_come_in_order_with_the_path_that_leads_to_them() -> None:
    state = {"step": 3, 0: {"m": [1.0, (2.0, {"k": None})]}, "pair": Pair("a", "b")}
    assert list(leaves_of(state)) == [
        ("step", 3),
        ("0.m[0]", 1.0),
        ("0.m[1][0]", 2.0),
        ("0.m[1][1].k", None),
        ("pair[0]", "a"),
        ("pair[1]", "b"),
    ]


@pytest.mark.parametrize("leaf", [7, None, "text", {1, 2}, torch.zeros(2, 2), object()])
def test_what_holds_nothing_by_name_or_place_is_a_leaf(leaf: Any) -> None:
    ((path, found),) = leaves_of(leaf)
    assert path == ""
    assert found is leaf


@pytest.mark.parametrize("empty", [{}, [], (), OrderedDict(), defaultdict(dict), {"a": [{}]}])
def test_what_is_empty_has_no_leaves(empty: Any) -> None:
    assert list(leaves_of(empty)) == []


def test_of_a_state_every_tensor_is_found_and_no_parameter_written_out() -> None:
    params = [torch.nn.Parameter(torch.ones(n)) for n in (2, 3)]
    optimizer = torch.optim.Adam(params)
    for parameter in params:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    found = dict(leaves_of(optimizer.state))
    kept = ("step", "exp_avg", "exp_avg_sq")
    assert set(found) == {f"[{place}].{name}" for place in (0, 1) for name in kept}
    assert found["[1].exp_avg"] is optimizer.state[params[1]]["exp_avg"]
    # As they are saved, parameters are numbers.
    saved = dict(leaves_of(optimizer.state_dict()["state"]))
    assert set(saved) == {f"{place}.{name}" for place in (0, 1) for name in kept}


def test_the_bytes_of_a_tensor_are_those_of_its_elements() -> None:
    assert bytes_of(torch.zeros(3, 4, dtype=torch.float64)) == 96
    assert bytes_of(torch.zeros(3, 4, dtype=torch.bfloat16)) == 24
    assert bytes_of(torch.zeros(3, 4).to_sparse()) == 48
    assert bytes_of(torch.zeros(0)) == 0


def test_the_state_of_a_wrapped_optimizer_counts_once() -> None:
    parameter = torch.nn.Parameter(torch.zeros(100))
    parameter.grad = torch.ones(100)
    base = torch.optim.Adam([parameter])
    base.step()
    alone = state_bytes(base)
    assert alone == 2 * 400 + 4
    # Its own state is the base's, which counts once; in a list it is found as well.
    assert state_bytes(AroundInstance(base)) == alone  # type: ignore[arg-type]
    several = AroundInstance(torch.optim.SGD([parameter]))
    several.others = [base, base]  # type: ignore[attr-defined]
    assert state_bytes(several) == alone  # type: ignore[arg-type]
