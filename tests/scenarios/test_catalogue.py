"""Which scenarios two versions are compared in: decided once, the most ordinary first."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.scenarios.actions import ACTIONS
from optbench.scenarios.catalogue import (
    CHANGED_AT,
    DECAYING,
    DEFAULTS,
    OF_THE_LAWS,
    ORDINARY,
    Description,
    plan,
    switched_on,
)
from optbench.scenarios.feeds import FEEDS
from optbench.scenarios.gradients import EDITS, GRADIENTS
from optbench.scenarios.layouts import LAYOUTS
from optbench.scenarios.relations import RELATIONS
from optbench.scenarios.requirements import Requirements
from optbench.scenarios.scenario import OwnValue, Scenario

FIXED = settings(deadline=None, derandomize=True, database=None)

OWN = {"lr": 1e-3, "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
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
        hyperparameters=OWN if hyperparameters is None else hyperparameters,
        accepted=accepted,
        offers=offers,
        wants=Requirements(),
        trainable=True,
        code="",
    )


def settings_of(base: Description, head: Description) -> list[dict[str, Any]]:
    """Those of the scenarios that are tried for their settings."""
    names = {each.name for each in (DEFAULTS, *ORDINARY, DECAYING, *OF_THE_LAWS)}
    return [
        dict(each.settings)
        for each in plan(base, head)
        if each.settings and each.name not in names and not each.events
    ]


def test_ordinary_use_comes_first_and_settings_last() -> None:
    tried = plan(description(), description())
    assert tried[0] == DEFAULTS
    assert [each.name for each in tried[: 1 + len(ORDINARY)]] == [
        "defaults", *(each.name for each in ORDINARY)
    ]  # fmt: skip
    assert settings_of(description(), description()) == list(ACCEPTED)
    for way in ("two groups, the second with another", f"from step {CHANGED_AT} on"):
        values = [dict(each.second or each.events[0].values) for each in tried if way in each.name]
        assert sorted(map(repr, values)) == sorted(map(repr, ACCEPTED))
    without = [each.events[0].values for each in tried if "was an argument" in each.name]
    assert [each["hyperparameter"] for each in without] == list(OWN)


def test_every_law_that_is_checked_is_compared_in_too() -> None:
    with_betas = description({**OWN, "betas": (0.9, 0.999)})
    names = {each.name for each in plan(with_betas, with_betas)}
    laws = {relation.scenario.name for relation in RELATIONS}
    assert laws <= names
    # What has no such hyperparameter is not tried on its own value of it.
    rest = {each.name for each in plan(*[description()] * 2)}
    assert laws - rest == {"0-dimensional tensors as betas"}
    bare = {each.name for each in plan(*[description({}, ())] * 2)}
    assert {name for name in rest - bare if "lr" in name or "rate" in name} >= {
        "a tensor as lr, two groups", "OneCycleLR, which changes lr and momentum"
    }  # fmt: skip


def test_every_word_of_a_scenario_is_used_by_one() -> None:
    tried = [*plan(description(), description()), *(r.like for r in RELATIONS if r.like)]
    events = {event.action for each in tried for event in each.events}
    assert events == set(ACTIONS)
    assert {edit for each in tried for edit in each.edits} == set(EDITS)
    assert {each.layout for each in tried} == set(LAYOUTS)
    assert {each.gradients for each in tried} == set(GRADIENTS)
    # What is fed as the optimizer requires has no name.
    assert {each.feed for each in tried} - {""} == set(FEEDS) - {"gradients"}


def test_a_name_says_which_scenario_it_was() -> None:
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
    assert settings_of(base, head) == [*ACCEPTED, {"lr": 5e-3}]


def test_what_only_one_side_accepts_is_tried_on_both() -> None:
    base, head = description(accepted=ACCEPTED[:1]), description(accepted=ACCEPTED[1:])
    for one, other in ((base, head), (head, base)):
        assert sorted(map(repr, settings_of(one, other))) == sorted(map(repr, ACCEPTED))


def test_an_argument_that_only_the_head_has_is_not_tried() -> None:
    head = description(
        {**OWN, "caution": False},
        (*ACCEPTED, {"caution": True}, {"weight_decay": 0.1, "caution": True}),
    )
    assert not any("caution" in each.settings for each in plan(description(), head))
    # The other way round it is an argument that was taken away, and results depend on it.
    assert any("caution" in each.settings for each in plan(head, description()))


def test_behind_the_first_every_scenario_is_given_the_base_s_defaults() -> None:
    head = description({**OWN, "eps": 1e-6, "lr": 3e-4})
    first, second, *rest = plan(description(), head)
    given = {"lr": 1e-3, "eps": 1e-8}
    assert first == DEFAULTS
    assert dict(second.settings) == given
    assert second.gradients == DEFAULTS.gradients
    for each in rest:
        if "was an argument" in each.name:
            continue
        assert set(given) <= set(each.settings)
        assert sum(each.settings[name] != value for name, value in given.items()) <= 1
    assert any(each.settings.get("eps") == 1e-4 for each in rest)
    # What stands for the optimizer's own value stands for the one that is given.
    (groups,) = [each for each in rest if each.name == "two groups"]
    assert groups.second == {"lr": OwnValue(1 / 3, value=1e-3), "weight_decay": 0.05}
    (cycle,) = [each for each in rest if each.name.startswith("OneCycleLR")]
    assert cycle.events[0].values["max_lr"] == OwnValue(value=1e-3)
    # Where none differs, none is given and nothing is tried twice.
    assert not any(each.name == second.name for each in plan(head, head))


def test_one_and_one_point_nought_are_two_defaults() -> None:
    """They can be told apart: integers divide as integers do."""
    head = description({**OWN, "weight_decay": 0})
    assert plan(description(), head)[1].settings == {"weight_decay": 0.0}


def test_an_offer_of_either_side_is_tried_alone_and_with_every_setting() -> None:
    base, head = description(offers=("foreach",)), description(offers=("fused", "foreach"))
    tried = {each.name: each for each in plan(base, head)}
    for offer in ("foreach", "fused"):
        given = [dict(each.settings) for each in tried.values() if offer in each.settings]
        assert {offer: True} in given
        assert all({offer: True, **each} in given for each in ACCEPTED)
        assert tried[f"{offer}=True, sparse gradients"].feed == "sparse"
        assert tried[f"{offer}=True, GradScaler"].feed == "GradScaler"
    assert not any({"foreach", "fused"} <= set(each.settings) for each in tried.values())


def test_averages_are_looked_for_with_one_value_of_each_argument_that_is_off() -> None:
    off = {"ema": 0.0, "foreach": None, "weight_decay": 0.0, "amsgrad": False, "lr": 1e-3}
    tried = ({"lr": 2e-3}, {"ema": 0.1}, {"ema": 0.5}, {"weight_decay": 0.1}, {"amsgrad": True},
             {"weight_decay": 0.1, "amsgrad": True})  # fmt: skip
    base, head = description(off, tried), description(off, (*tried, {"ema": 0.9}))
    assert switched_on(base, head) == [{"ema": 0.1}, {"amsgrad": True}]


def test_what_takes_matrices_alone_is_given_no_other_shapes() -> None:
    base = replace(description(), wants=Requirements(matrices=True))
    assert any(each.shapes for each in plan(base, base))
    assert all(len(shape) == 2 for each in plan(base, base) for shape in each.shapes)


def test_decay_in_half_precision_is_tried_where_there_is_one() -> None:
    without = description({"lr": 1e-3}, ACCEPTED[:1])
    assert DECAYING in plan(description(), description())
    assert DECAYING.name not in {each.name for each in plan(without, without)}


def test_a_plan_travels() -> None:
    head = description({**OWN, "eps": 1e-6}, offers=("foreach",))
    tried = plan(description(), head)
    assert pickle.loads(pickle.dumps(tried)) == tried


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
    ("name", "condition"),
    [
        ("defaults", "defaults"),
        ("two groups", "two groups"),
        ("eps", "eps=0.0001"),
        ("foreach=True, amsgrad=True", "foreach=True, amsgrad=True"),
        ("foreach=True, sparse gradients", "foreach=True and sparse gradients"),
    ],
)
def test_under_what_a_scenario_shows_is_readable(name: str, condition: str) -> None:
    tried = {each.name: each for each in plan(*[description(offers=("foreach",))] * 2)}
    assert tried[name].when == condition
    assert Scenario("as it is named").when == "as it is named"
