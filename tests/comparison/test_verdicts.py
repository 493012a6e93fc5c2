"""One comparison of a repository of ten, with a change of every kind in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Command, Said
from repositories import Repository

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def changes(make_repository: Callable[[], Repository]) -> Repository:
    """A tag before, a tag after."""
    repository = make_repository()
    # Without the second correction every first step is thirty times too long.
    repository.changed(
        "Adamax is forgotten, AdamW without bias correction", "adamw",
        ('        correction2 = 1 - beta2 ** state["step"]\n', "        correction2 = 1.0\n"),
    )  # fmt: skip
    repository.git("tag", "before")
    repository.change(
        "adamw",
        ("        correction2 = 1.0\n", '        correction2 = 1 - beta2 ** state["step"]\n'),
    )
    repository.change(
        "rmsprop",
        ('            state["square_avg"] = torch.zeros_like(p)\n',
         '            state["square_avg"] = torch.zeros_like(p)\n'
         '            state["unused"] = torch.zeros_like(p)\n'),
    )  # fmt: skip
    repository.change(
        "signum",
        ("        if not state:\n",
         '        self.__dict__.setdefault("history", []).append(float(grad.sum()))\n'
         "        if not state:\n"),
    )  # fmt: skip
    repository.change("sgd", ("        if not state:\n", "        if not state and 1 // 0:\n"))
    repository.change("nag", ("def update(self, p, grad, state, group):\n",
                              "def update(self, p, grad, state, group):\n"
                              "        while True:\n            pass\n"))  # fmt: skip
    repository.change("adagrad", ("def update(self, p, grad, state, group):\n",
                                  "def update(self, p, grad, state, group):\n"
                                  "        import os\n\n        os._exit(7)\n"))  # fmt: skip
    repository.change("lion", ("lr=1e-4,", "lr=1e-3, nesterov=False,"))
    decayed = 'value=-(1 + 1e-6 * (group["weight_decay"] > 0)) * group'
    repository.change("adam", ("value=-group", decayed))
    repository.change("__init__", ("from tinyopt.adadelta import Adadelta\n", ""),
                      ('    "Adadelta",\n', ""))  # fmt: skip
    repository.commit("everything at once")
    return repository


@pytest.fixture(scope="module")
def said(changes: Repository, optbench: Command) -> Said:
    return optbench(
        "compare",
        "before",
        "HEAD",
        "--rung",
        "maths",
        "--rung",
        "memory",
        "--timeout",
        "6",
        folder=changes.root,
    )


def test_a_changed_hyperparameter_s_effect_is_told_in_words(said: Said) -> None:
    row = said.of("Adam")
    assert row["maths"] == "changed"
    told = "differs from step 1 on, by 3.3e-07 times the distance travelled; "
    told += "only with two groups; weight_decay; "
    assert row["maths_text"].startswith(told)
    assert row["memory"] == "same"


def test_a_changed_default_and_a_new_argument_are_named(said: Said) -> None:
    row = said.of("Lion")
    assert row["maths"] == "changed"
    assert "the default of lr went from 0.0001 to 0.001" in row["maths_text"]
    assert "now takes nesterov" in row["maths_text"]
    # The rule itself is the same: told the old default, it goes the same way.
    assert row["differing_scenarios"] == ["defaults"]


def test_one_that_raises_on_one_side_is_broken_with_its_error_and_place(said: Said) -> None:
    row = said.of("SGD")
    assert row["maths"] == "broken"
    assert "ZeroDivisionError" in row["maths_text"]
    assert "tinyopt/sgd.py:" in row["maths_text"]


def test_one_that_hangs_or_ends_the_interpreter_is_broken_and_the_rest_goes_on(said: Said) -> None:
    hangs, exits = said.of("Nesterov"), said.of("Adagrad")
    assert hangs["maths"] == exits["maths"] == "broken"
    assert "did not start within 6 s" in hangs["maths_text"]
    assert "status 7" in exits["maths_text"]
    assert said.of("Adamax")["maths"] == "identical"


def test_an_added_state_tensor_is_more_at_equal_maths(said: Said) -> None:
    row = said.of("RMSprop")
    assert (row["maths"], row["memory"]) == ("identical", "more")
    assert row["cost"]["state_bytes_per_parameter"] == [4.0, 8.0]


def test_an_appending_list_is_a_leak(said: Said) -> None:
    row = said.of("Signum")
    assert (row["maths"], row["memory"]) == ("identical", "leak")
    assert row["cost"]["growth_bytes_per_step"][1] >= 8


def test_one_that_is_on_one_side_only_is_listed(said: Said) -> None:
    assert said.content["only_in_base"] == ["tinyopt:Adadelta"]
    assert "only in the base: tinyopt:Adadelta" in said.out


def test_broken_fails_by_default(said: Said) -> None:
    assert said.code == 1
    assert "found: broken" in said.errors


def test_an_improvement_is_improved(changes: Repository, optbench: Command) -> None:
    asked = ("-o", "AdamW", "--rung", "convergence", "-p", "noisy-*")
    said = optbench("compare", "before", "HEAD", *asked, folder=changes.root)
    row = said.of("AdamW")
    assert row["convergence"] == "improved"
    assert said.code == 0
    improved = [p for p in row["problems"] if p["verdict"] == "improved"]
    assert improved
    assert all(p["high"] < 1 for p in improved)
    # At one fixed rate its absence looked like a gain, which is why the best rate decides.
    assert any(p["league"] == "default" and p["verdict"] == "regressed" for p in row["problems"])


def test_a_mistake_that_a_user_would_feel_is_regressed(
    make_repository: Callable[[], Repository], optbench: Command
) -> None:
    repository = make_repository()
    repository.change("nag", ("grad.add(buffer, alpha", "grad.sub(buffer, alpha"))
    said = optbench("compare", "HEAD", "-o", "Nesterov", "--rung", "convergence", "-p", "beale",
                    folder=repository.root)  # fmt: skip
    row = said.of("Nesterov")
    assert row["convergence"] == "regressed"
    assert said.code == 1
    assert "found: regressed" in said.errors
    regressed = [p for p in row["problems"] if p["verdict"] == "regressed"]
    assert all(p["low"] == "inf" or p["low"] > 1 for p in regressed)
