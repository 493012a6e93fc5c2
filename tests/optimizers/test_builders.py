from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import odd_constructors as odd
import pytest
import torch
from torch import nn

from optbench.engine.lanes import advance
from optbench.engine.plan import Selection, plan
from optbench.optimizers import OPTIMIZERS, Optimizer, WrongHyperparameter
from optbench.optimizers.builders import FlaggedGroups, Wrapping, adapted
from optbench.optimizers.recipe import adopt
from optbench.problems import PROBLEMS
from optbench.registry import NotAdoptable

SGD = "torch.optim:SGD"


def adopted(obj: Any) -> Optimizer:
    return adopt(obj, f"odd_constructors:{obj.__name__}")


def pairs() -> list[tuple[str, nn.Parameter]]:
    return [
        ("layers.0.weight", nn.Parameter(torch.ones(3, 2))),
        ("layers.0.bias", nn.Parameter(torch.ones(3))),
    ]


def made(obj: Any, **settings: Any) -> tuple[Any, list[tuple[str, nn.Parameter]]]:
    row, named = adopted(obj), pairs()
    return row.make(named, row.settings(settings)), named


def test_named_parameters_come_with_their_names() -> None:
    optimizer, _ = made(odd.Named)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]


def test_flagged_groups_hold_matrices_and_the_rest() -> None:
    optimizer, named = made(odd.Flagged, momentum=0.5)
    matrices, others = optimizer.param_groups
    assert matrices["use_muon"]
    assert matrices["params"] == [named[0][1]]
    assert (matrices["lr"], matrices["momentum"]) == (0.02, 0.5)
    assert not others["use_muon"]
    assert others["params"] == [named[1][1]]
    assert (others["lr"], others["eps"]) == (0.005, 1e-8)


def test_the_auxiliary_rate_follows_the_rate_unless_it_is_given() -> None:
    optimizer, _ = made(odd.Flagged, lr=0.2)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.2, 0.05])
    optimizer, _ = made(odd.Flagged, lr=0.2, aux_lr=0.3)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.3]
    assert adopted(odd.Flagged).hyperparameters == ("lr", "momentum", "eps", "aux_lr")


def test_flagged_groups_beside_arguments() -> None:
    optimizer, _ = made(odd.FlaggedWithArguments, lr=0.3, aux_rate=0.4)
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.4]


def test_flagged_groups_want_a_matrix() -> None:
    assert adopted(odd.Flagged).needs == {"matrices"}


@pytest.mark.parametrize("given", ["base", "base_optimizer"])
def test_a_wrapper_is_given_an_instance_of_the_class_that_is_named(given: str) -> None:
    optimizer, named = made(odd.AroundInstance, lr=0.3, momentum=0.9, k=5, **{given: SGD})
    assert isinstance(optimizer.base, torch.optim.SGD)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["momentum"], optimizer.k) == (0.3, 0.9, 5)
    assert group["params"] == [p for _, p in named]


def test_a_wrapper_that_takes_a_class_is_given_the_class() -> None:
    optimizer, _ = made(odd.AroundClass, lr=0.3, momentum=0.9, rho=0.1, base_optimizer=SGD)
    assert isinstance(optimizer.base_optimizer, torch.optim.SGD)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["momentum"], group["rho"]) == (0.3, 0.9, 0.1)


@pytest.mark.parametrize("wrapper", [odd.AroundClass, odd.AroundInstance])
@pytest.mark.parametrize(
    ("base", "text"),
    [
        ({}, "wraps another optimizer: --set base_optimizer=torch.optim:SGD names its class"),
        ({"base_optimizer": "SGD"}, r"names its class \(module:Class, with a colon\), not"),
        ({"base_optimizer": "torch.optim:SDG"}, "has no 'SDG'; did you mean 'SGD'"),
    ],
)
def test_a_wrapper_without_a_base_says_how_to_name_one(
    wrapper: Any, base: dict[str, str], text: str
) -> None:
    with pytest.raises(WrongHyperparameter, match=text):
        made(wrapper, **base)


@pytest.mark.parametrize("given", [{}, {"base_optimizer": SGD}])
def test_a_class_that_wants_the_model_and_its_parameters_is_told_who_can_give_both(
    given: dict[str, str],
) -> None:
    with pytest.raises(WrongHyperparameter) as caught:
        made(odd.OfTheModelAndItsParameters, **given)
    assert str(caught.value) == (
        "odd_constructors:OfTheModelAndItsParameters wants the model and its parameters both, "
        "which only a function of named_parameters can give it (docs/extending.md)"
    )


@pytest.mark.parametrize(
    ("obj", "given", "text"),
    [
        (odd.demanding, {}, "has no default for alpha: --set alpha=..."),
        (
            odd.Demanding,
            {},
            "has no default for num_data, k: --set num_data=... --set k=..., or a function of "
            "named_parameters that constructs it (docs/extending.md)",
        ),
        (
            odd.Demanding,
            {"num_data": 5},
            "has no default for k: --set k=..., or a function of named_parameters that "
            "constructs it (docs/extending.md)",
        ),
    ],
)
def test_what_has_no_default_is_asked_for(obj: Any, given: dict[str, int], text: str) -> None:
    with pytest.raises(WrongHyperparameter) as caught:
        made(obj, **given)
    assert str(caught.value) == f"odd_constructors:{obj.__name__} {text}"


def test_what_has_no_default_can_be_given() -> None:
    assert made(odd.demanding, alpha=0.3)[0].defaults["lr"] == 0.3
    assert made(odd.Demanding, num_data=5, k=2)[0].num_data == 5


def test_a_step_that_wants_its_loss_is_refused_and_one_whose_closure_has_a_name_is_not() -> None:
    with pytest.raises(NotAdoptable) as caught:
        adopted(odd.StepsOnItsLoss).settings()
    assert str(caught.value) == (
        "the step of odd_constructors:StepsOnItsLoss wants loss, and a training loop gives it a "
        "closure or nothing: a subclass of it whose step takes a closure can be run"
    )
    for fine in (odd.StepsOnAFunction, odd.AroundClass, odd.mine):
        needed = {"base_optimizer": SGD} if fine is odd.AroundClass else {}
        adopted(fine).settings(needed)


def test_the_model_itself() -> None:
    optimizer, named = made(odd.OfTheModel, lr=0.3)
    assert optimizer.names == ["layers.0.weight", "layers.0.bias"]
    assert optimizer.param_groups[0]["params"] == [p for _, p in named]


def test_a_function_of_named_parameters_is_a_row() -> None:
    optimizer, _ = made(odd.mine, lr=0.4)
    assert [group["lr"] for group in optimizer.param_groups] == [0.4, 0.2]
    row = adopted(odd.mine)
    assert (dict(row.defaults), row.hyperparameters) == ({"lr": 0.1}, ("lr",))


def test_another_function_is_none_and_says_what_would_be_one() -> None:
    with pytest.raises(NotAdoptable, match="takes named_parameters first"):
        adopt(sorted, "builtins:sorted")


@pytest.mark.parametrize("cls", [torch.optim.SGD, torch.optim.Muon, odd.NoRate, odd.RefusesNone])
def test_a_class_that_takes_parameters_is_left_as_it_is(cls: type) -> None:
    assert adapted(cls) is cls


@pytest.mark.parametrize(
    "adapter", [FlaggedGroups(odd.Flagged), Wrapping(odd.AroundInstance, "base")]
)
def test_adapters_travel(adapter: Any) -> None:
    settings = {} if isinstance(adapter, FlaggedGroups) else {"base_optimizer": SGD}
    for each in (pickle.loads(pickle.dumps(adapter)), copy.deepcopy(adapter)):
        assert type(each(pairs(), **settings)) is type(adapter(pairs(), **settings))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Named", {}),
        ("Flagged", {}),
        ("AroundInstance", {"base_optimizer": SGD, "lr": 0.1}),
        ("OfTheModel", {}),
        ("mine", {}),
        ("NoRate", {}),
    ],
)
def test_what_a_builder_makes_is_trained(name: str, settings: dict[str, Any]) -> None:
    row = OPTIMIZERS[f"odd_constructors:{name}"]
    told = row.settings(settings)
    done = advance(row, PROBLEMS["network-2-3-1"], [told, told], [0, 1], 100)
    assert (done.gaps[-1] < 0.9 * done.gaps[0]).all()


def test_what_a_wrapper_demands_is_part_of_its_defaults() -> None:
    selection = Selection(
        optimizers=("odd_constructors:AroundInstance",),
        problems=("quadratic",),
        settings={"base_optimizer": SGD, "k": 3},
        seeds=(0,),
    )
    assert not plan([selection]).runs[0].default
    demanded = selection.model_copy(update={"settings": {"base_optimizer": SGD}})
    assert plan([demanded]).runs[0].default


def test_a_hook_beside_a_closure_is_refused() -> None:
    row = adopted(odd.CalledBetween)
    assert row.before_step is not None
    with pytest.raises(ValueError, match="a hook before each step sees no gradient"):
        dataclasses.replace(row, closure=True)
