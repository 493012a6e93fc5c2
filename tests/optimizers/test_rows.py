"""The catalogue's rows: each can be made, cites its source, and refuses what it does not take."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from optbench.optimizers import OPTIMIZERS, Optimizer, Route, WrongHyperparameter, half_decades
from optbench.optimizers.catalogue import BASES, TEXTBOOK, catalogue

ROWS = [row.name for row in catalogue()]
REQUIRED = {
    *("sgd", "momentum", "nesterov", "adam", "adamw", "amsgrad", "nadam", "radam", "adamax"),
    *("adagrad", "rmsprop", "rmsprop-centered", "adadelta", "rprop", "asgd", "adafactor", "muon"),
    *("lbfgs", "sparseadam", "lion", "signum", "adam-swarm"),
}
TRANSCRIBED = {
    *("sgd", "adam", "adamw", "nadam", "radam", "adamax", "adagrad", "rmsprop", "adadelta"),
    *("rprop", "asgd", "adafactor", "muon", "muon-with-adamw", "sparseadam", "lion", "signum"),
    "adam-swarm",
}
BEYOND_TORCH = {
    *("sgdw", "lamb", "adopt", "adan", "ademamix", "sophia", "lookahead", "soap", "prodigy", "sam"),
    *("schedule-free-sgd", "schedule-free-adamw"),
}


def parameters(name: str) -> list[torch.nn.Parameter]:
    shapes = ((3, 2), (2, 4) if name == "textbook-muon" else (2,))
    return [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]


def test_the_catalogue_holds_every_optimizer_that_is_promised() -> None:
    assert {row.name for row in BASES} == REQUIRED
    assert {row.name for row in TEXTBOOK} == {
        f"textbook-{name}" for name in TRANSCRIBED | BEYOND_TORCH
    }
    assert len(ROWS) == len(set(ROWS)) == len(OPTIMIZERS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_can_be_made_and_names_its_source(name: str) -> None:
    row = OPTIMIZERS[name]
    made = row.factory(parameters(name), **row.settings())
    assert isinstance(made, torch.optim.Optimizer)
    assert made.param_groups[0]["lr"] == row.defaults["lr"] > 0
    for key, value in row.defaults.items():
        assert made.param_groups[0][key] == value
    assert any(year in row.cite for year in map(str, range(1940, 2027))), "a source has a year"
    assert row.hyperparameters[0] == "lr"


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_its_base_or_its_bases_variant(name: str) -> None:
    row = OPTIMIZERS[name]
    assert row.name == (f"{row.base}[{row.variant}]" if row.variant else row.base)
    base = OPTIMIZERS[row.base]
    assert base.factory is row.factory
    if row.variant:
        assert row.defaults == {**base.defaults, row.variant: True}
        assert row.space == base.space
        assert row.cite == base.cite


@pytest.mark.parametrize("name", sorted(TRANSCRIBED))
def test_a_transcription_has_a_row_like_that_of_what_it_transcribes(name: str) -> None:
    row = OPTIMIZERS[f"textbook-{name}"]
    original = OPTIMIZERS["muon" if name == "muon-with-adamw" else name]
    assert row.route is Route.INSTANCE
    assert row.defaults == {"lr": original.defaults["lr"]}
    for same in ("space", "cite", "closure", "sparse_gradients", "stochastic", "oracle"):
        assert getattr(row, same) == getattr(original, same)
    # Without AdamW for the rest, Muon takes nothing but matrices.
    assert row.needs == ({"only matrices"} if name == "muon" else original.needs)


def test_no_base_is_a_transcription() -> None:
    """Suites are made of bases: a reference is compared with, it does not compete."""
    assert not {row.name for row in BASES} & {row.name for row in TEXTBOOK}


def test_each_base_that_can_has_its_variants() -> None:
    """As torch 2.13 has them on every device; a base whose class takes no foreach has none."""
    without = {"muon", "lbfgs", "sparseadam", "lion", "signum", "adam-swarm"}
    assert {n for n in ROWS if n.endswith("[foreach]")} == {
        f"{n}[foreach]" for n in REQUIRED - without
    }
    assert {n for n in ROWS if n.endswith("[fused]")} == {
        f"{n}[fused]"
        for n in ("sgd", "momentum", "nesterov", "adam", "adamw", "amsgrad", "adagrad")
    }
    for name in without:
        assert "foreach" not in OPTIMIZERS[name].hyperparameters


@pytest.mark.parametrize("name", ROWS)
def test_every_value_of_a_search_space_is_accepted_and_the_grid_is_half_decades(name: str) -> None:
    row = OPTIMIZERS[name]
    assert "lr" in row.space
    for key, values in row.space.items():
        assert list(values) == sorted(set(values))
        for value in values:
            row.settings({key: value})
    ratios = [b / a for a, b in zip(row.space["lr"], row.space["lr"][1:], strict=False)]
    assert all(3.0 < ratio < 3.4 for ratio in ratios)
    assert row.space["lr"][0] <= row.defaults["lr"] <= row.space["lr"][-1]


@pytest.mark.parametrize("name", ROWS)
def test_an_unknown_hyperparameter_is_refused_with_those_that_it_takes(name: str) -> None:
    with pytest.raises(WrongHyperparameter) as caught:
        OPTIMIZERS[name].settings({"momentun": 0.9})
    text = str(caught.value)
    assert text.startswith(f"{name} takes no hyperparameter 'momentun'; it takes lr, ")


@pytest.mark.parametrize("lr", [-1e-3, math.nan, math.inf, -math.inf, "0.1", None, True])
@pytest.mark.parametrize("name", ROWS)
def test_a_rate_that_is_no_finite_number_from_zero_up_is_refused(name: str, lr: Any) -> None:
    with pytest.raises(WrongHyperparameter) as caught:
        OPTIMIZERS[name].settings({"lr": lr})
    assert str(caught.value) == f"{name}: lr must be a finite number >= 0, not {lr!r}"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("adam", {"betas": (1.5, 0.9)}),
        ("momentum", {"momentum": -1.0}),
        ("nesterov", {"momentum": 0.0}),
        ("muon", {"weight_decay": -1.0}),
        ("muon", {"betas": (0.9, 1.0)}),
        ("lion", {"betas": (0.9, 1.0)}),
        ("lion", {"weight_decay": math.nan}),
        ("signum", {"momentum": 1.0}),
        ("adam-swarm", {"particles": 0}),
    ],
)
def test_a_value_that_the_optimizer_refuses_is_passed_on_in_words(
    name: str, wrong: dict[str, Any]
) -> None:
    (key, value), *_ = wrong.items()
    with pytest.raises(WrongHyperparameter) as caught:
        OPTIMIZERS[name].settings(wrong)
    assert str(caught.value).startswith(f"{name} refuses (")
    assert f"{key}={value!r}" in str(caught.value)
    assert "ValueError: " in str(caught.value)


@pytest.mark.parametrize("value", [0.9, "x,y", (0.9,), (0.9, 0.99, 0.999), (0.9, "y"), (0.9, True)])
def test_what_is_no_tuple_of_as_many_numbers_as_the_default_is_refused(value: Any) -> None:
    with pytest.raises(WrongHyperparameter) as caught:
        OPTIMIZERS["adam"].settings({"betas": value})
    assert str(caught.value) == (
        f"adam: betas must be 2 numbers, such as --set betas=0.9,0.999, not {value!r}"
    )


def test_only_a_default_that_is_a_tuple_of_numbers_says_what_goes_in_its_place() -> None:
    def factory(
        params: Any, lr: float = 0.1, one: Any = (3,), mixed: Any = (None, 1), some: Any = (1, "x")
    ) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, lr)

    row = Optimizer("x", factory, {}, {}, Route.STACK, "nobody")
    with pytest.raises(WrongHyperparameter, match=r"must be 1 number, such as --set one=3,, not 3"):
        row.settings({"one": 3})
    # A list is as good; None is often what switches something off.
    for fine in ({"one": [4]}, {"one": None}, {"one": (None,)}, {"mixed": 3}, {"some": "x"}):
        assert row.settings(fine) == fine


def test_settings_are_the_defaults_with_the_overrides_on_top() -> None:
    row = OPTIMIZERS["nesterov"]
    assert row.settings({"lr": 0.5}) == {"lr": 0.5, "momentum": 0.9, "nesterov": True}
    assert row.settings() == dict(row.defaults)


def test_a_row_without_a_default_rate_keeps_its_constructors() -> None:
    row = Optimizer("x", torch.optim.SGD, {"momentum": 0.9}, {}, Route.STACK, "nobody")
    assert row.settings() == {"momentum": 0.9}
    assert row.settings({"lr": 0.5}) == {"momentum": 0.9, "lr": 0.5}


def test_a_row_cannot_be_changed_from_afar() -> None:
    defaults = {"lr": 0.1}
    row = Optimizer("x", torch.optim.SGD, defaults, {"lr": (0.1,)}, Route.STACK, "nobody")
    defaults["lr"] = 3.0
    assert row.defaults["lr"] == 0.1
    with pytest.raises(TypeError):
        row.defaults["lr"] = 3.0  # type: ignore[index]
    with pytest.raises(TypeError):
        row.space["lr"] = (3.0,)  # type: ignore[index]


def test_a_factory_that_takes_anything_is_not_asked_for_names() -> None:
    def anything(params: Any, **settings: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, **settings)

    row = Optimizer("x", anything, {"lr": 0.1}, {}, Route.STACK, "nobody")
    assert row.settings({"momentum": 0.5})["momentum"] == 0.5
    with pytest.raises(WrongHyperparameter, match="x refuses"):
        row.settings({"momentun": 0.5})


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1e-2, 1, (0.01, 0.032, 0.1, 0.32, 1.0)),
        (1e-5, 1e-4, (1e-5, 3.2e-5, 1e-4)),
        (1, 10, (1.0, 3.2, 10.0)),
    ],
)
def test_half_decades_are_two_a_decade_with_both_ends(
    low: float, high: float, expected: tuple[float, ...]
) -> None:
    assert half_decades(low, high) == expected
