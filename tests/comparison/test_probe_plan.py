"""Which probes are tried: decided once for both sides, the most ordinary first."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.comparison.probes import LONG, SAVED_AT, STEPS, Description, Probe, Way, plan
from optbench.comparison.walks import walk
from optbench.conformance.acquaintance import acquaint
from optbench.conformance.subject import Subject
from optbench.conformance.wants import Wants

FIXED = settings(deadline=None, derandomize=True, database=None)

DEFAULTS = {"lr": 1e-3, "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
ACCEPTED: tuple[dict[str, Any], ...] = (
    {"lr": 2e-3},
    {"eps": 1e-4},
    {"weight_decay": 0.1},
    {"amsgrad": True},
)


def description(
    hyperparameters: Mapping[str, Any] | None = None,
    accepted: tuple[Mapping[str, Any], ...] = ACCEPTED,
    offers: tuple[str, ...] = (),
) -> Description:
    return Description(
        hyperparameters=DEFAULTS if hyperparameters is None else hyperparameters,
        accepted=accepted,
        offers=offers,
        wants=Wants(),
        trainable=True,
        code="",
    )


def test_the_most_ordinary_comes_first_and_every_way_is_tried() -> None:
    probes = plan(description(), description())
    assert probes[0] == Probe("defaults", Way.STEADY)
    tried = {each.way for each in probes}
    assert tried >= {way for way in Way if way.name != "PROMISE"}
    # First the defaults, under whatever happens; then what is set, one after another.
    bare = [not each.settings and not each.second for each in probes]
    assert bare == sorted(bare, reverse=True)
    second = {name for each in probes if each.way is Way.GROUPS for name in each.second}
    assert second == {name for each in description().accepted for name in each}
    assert [dict(each.settings) for each in probes if each.settings] == list(ACCEPTED)


def test_a_name_says_which_probe_it_was() -> None:
    company = {"momentum": 0.9, "dampening": 0.0}
    base = description(
        {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "maximize": False},
        ({"momentum": 0.5}, {**company, "nesterov": True}, {"maximize": True},
         {**company, "maximize": True}),
        ("foreach", "fused"),
    )  # fmt: skip
    names = [each.name for each in plan(base, base)]
    assert len(names) == len(set(names))
    assert {"defaults", "momentum", "maximize=True", "foreach=True", "two groups"} <= set(names)
    assert sum("nesterov=True" in name for name in names) == 3


def test_the_same_setting_of_both_sides_is_tried_once() -> None:
    base, head = description(), description(accepted=(*ACCEPTED[::-1], {"lr": 5e-3}))
    settings = [dict(each.settings) for each in plan(base, head) if each.settings]
    assert settings == [*ACCEPTED, {"lr": 5e-3}]


def test_what_only_one_side_accepts_is_tried_on_both() -> None:
    base, head = description(accepted=ACCEPTED[:1]), description(accepted=ACCEPTED[1:])
    for one, other in ((base, head), (head, base)):
        settings = [dict(each.settings) for each in plan(one, other) if each.settings]
        assert sorted(map(repr, settings)) == sorted(map(repr, ACCEPTED))


def test_an_argument_that_only_the_head_has_is_not_tried() -> None:
    head = description(
        {**DEFAULTS, "caution": False},
        (*ACCEPTED, {"caution": True}, {"weight_decay": 0.1, "caution": True}),
    )
    probes = plan(description(), head)
    assert not any("caution" in each.settings for each in probes)
    # The other way round it is an argument that was taken away, and results depend on it.
    assert any("caution" in each.settings for each in plan(head, description()))


def test_behind_the_first_every_probe_is_told_the_base_s_defaults() -> None:
    head = description({**DEFAULTS, "eps": 1e-6, "lr": 3e-4})
    first, second, *rest = plan(description(), head)
    told = {"lr": 1e-3, "eps": 1e-8}
    assert first == Probe("defaults", Way.STEADY)
    assert dict(second.settings) == told
    assert second.way is Way.STEADY
    for each in rest:
        assert set(told) <= set(each.settings)
        assert sum(each.settings[name] != value for name, value in told.items()) <= 1
    assert any(each.settings["eps"] == 1e-4 for each in rest)
    # Where none differs, nothing is told and nothing is tried twice.
    assert not any(each.name == second.name for each in plan(head, head))


def test_one_and_one_point_nought_are_two_defaults() -> None:
    """They can be told apart: integers divide as integers do."""
    head = description({**DEFAULTS, "weight_decay": 0})
    assert plan(description(), head)[1].settings == {"weight_decay": 0.0}


def test_an_offer_of_either_side_is_tried_alone_and_with_switches_and_decay() -> None:
    base, head = description(offers=("foreach",)), description(offers=("fused", "foreach"))
    probes = {each.name: each for each in plan(base, head)}
    for offer in ("foreach", "fused"):
        given = [dict(each.settings) for each in probes.values() if offer in each.settings]
        assert {offer: True} in given
        assert {offer: True, "amsgrad": True} in given
        assert {offer: True, "weight_decay": 0.1} in given
        assert {offer: True, "eps": 1e-4} not in given
        assert probes[f"{offer}=True, sparse"].way is Way.SPARSE
    assert not any({"foreach", "fused"} <= set(each.settings) for each in probes.values())


def test_a_plan_travels() -> None:
    head = description({**DEFAULTS, "eps": 1e-6}, offers=("foreach",))
    probes = plan(description(), head)
    assert pickle.loads(pickle.dumps(probes)) == probes


@FIXED
@given(names=st.sets(st.sampled_from(["lr", "eps", "beta", "clip"]), min_size=1))
def test_a_plan_is_the_same_for_the_same_descriptions(names: set[str]) -> None:
    values = dict.fromkeys(sorted(names), 0.5)
    accepted = tuple({name: 0.25} for name in values)
    base = description(values, accepted)
    assert plan(base, base) == plan(description(dict(values), accepted), base)


def test_a_default_that_differs_in_its_address_alone_is_no_other_one() -> None:
    """``def __init__(self, params, lr=1e-3, mode=_UNSET)``, where ``_UNSET = object()``."""
    base = replace(description({"lr": 1e-3}, ({"lr": 2e-3},)), opaque={"mode": "object"})
    head = replace(base, opaque={"mode": "function"})
    assert not any("mode" in each.settings for each in plan(base, head))
    assert "mode" in base.arguments


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (Probe("defaults", Way.STEADY), ("defaults", "steady")),
        (Probe("two groups", Way.GROUPS), ("two groups",)),
        (Probe("eps", Way.SHRINKING, {"eps": 1e-4}), ("eps=0.0001",)),
        (Probe("x", Way.TINY, {"eps": 1e-4}), ("eps=0.0001 and gradients about 1e-7",)),
        (Probe("x", settings={"mode": "a", "n": True}), ("mode='a', n=True",)),
    ],
)
def test_the_condition_of_a_probe_is_readable(probe: Probe, words: tuple[str, ...]) -> None:
    assert any(word in probe.condition for word in words)


# The walk along one.


@pytest.fixture(scope="module")
def adam() -> Subject:
    return acquaint(torch.optim.Adam, settings={"weight_decay": 0.0})


WALKED = [way for way in Way if way.name not in ("PROMISE", "SPARSE")]


@pytest.mark.parametrize("way", WALKED)
def test_a_walk_begins_at_the_start_and_has_a_row_a_step(adam: Subject, way: Way) -> None:
    rows = walk(adam, Probe("x", way))
    steps = {Way.LONG: LONG, Way.LOADED: SAVED_AT + 10, Way.CLOSURE: 15}.get(way, STEPS)
    assert len(rows) == 1 + steps
    assert rows.dtype == np.float64
    assert np.isfinite(rows).all()
    # Nobody evaluated a loss that was not asked to; and something moved, in the end.
    assert rows[-1, -1] == (15 if way is Way.CLOSURE else 0)
    assert not np.array_equal(rows[0], rows[-1])


@pytest.mark.parametrize("way", WALKED)
def test_a_walk_is_the_same_again(adam: Subject, way: Way) -> None:
    assert np.array_equal(walk(adam, Probe("x", way)), walk(adam, Probe("y", way)))


def test_the_settings_of_a_probe_are_given(adam: Subject) -> None:
    one = walk(adam, Probe("x", Way.STEADY))
    assert np.array_equal(one, walk(adam, Probe("x", Way.STEADY, {"lr": 1e-3, "eps": 1e-8})))
    slow = walk(adam, Probe("x", Way.STEADY, {"lr": 1e-4}))
    ways = [np.abs(each[1] - each[0]).max() for each in (one, slow)]
    assert ways[0] == pytest.approx(10 * ways[1])


def test_ways_are_what_their_names_say(adam: Subject) -> None:
    steady, zero, added, scheduled, missing = (
        walk(adam, Probe("x", way))
        for way in (Way.STEADY, Way.ZERO, Way.ADDED, Way.SCHEDULED, Way.MISSING)
    )
    assert np.array_equal(zero[0], zero[STEPS // 4])
    assert not np.array_equal(zero[0], zero[STEPS // 4 + 1])
    first = adam.shapes[0]
    rest = slice(int(np.prod(first)), -1)
    assert np.array_equal(added[0, rest], added[5, rest])
    assert not np.array_equal(added[0, rest], added[6, rest])
    # The rate is halved before the sixth step.
    assert np.array_equal(steady[:6], scheduled[:6])
    step = [np.abs(each[6] - each[5]).max() for each in (steady, scheduled)]
    assert step[1] == pytest.approx(step[0] / 2)
    still = np.array_equal(missing[0, :-1], missing[-1, :-1])
    second = slice(rest.start, rest.start + int(np.prod(adam.shapes[1])))
    assert not still
    assert np.array_equal(missing[0, second], missing[-1, second])


def test_a_save_on_the_way_changes_nothing_for_who_saves_everything(adam: Subject) -> None:
    """The row is a walk's whose first 301 steps know nothing of what is to come."""
    rows = walk(adam, Probe("x", Way.LOADED))
    long = walk(adam, Probe("x", Way.LONG))
    assert np.array_equal(rows, long[: len(rows)])


@settings(FIXED, max_examples=5)
@given(lr=st.floats(1e-5, 1e-1))
def test_two_groups_have_a_rate_of_their_own(adam: Subject, lr: float) -> None:
    one = walk(adam, Probe("x", Way.STEADY, {"lr": lr}))
    two = walk(adam, Probe("x", Way.GROUPS, {"lr": lr}))
    half = int(sum(np.prod(s) for s in adam.shapes[: len(adam.shapes) // 2]))
    assert two.shape == one.shape
    assert not np.array_equal(one[1, half:-1], two[1, half:-1])
