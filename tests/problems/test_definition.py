"""A problem's definition in twelve digits, and the promise that it does not change silently."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from optbench.asv import defined
from optbench.problems import CATALOGUE, PROBLEMS
from optbench.problems.definition import definition

FROZEN = Path(__file__).with_name("definitions.json")


def test_no_definition_changes_while_its_version_stays():
    frozen = json.loads(FROZEN.read_text("utf-8"))
    now = defined([problem.name for problem in CATALOGUE])
    changed = {
        name: (frozen.get(name), what) for name, what in now.items() if frozen.get(name) != what
    }
    assert not changed, (
        "these problems are defined otherwise than their version says: raise `version` of each "
        f"whose definition was meant to change, then run `make definitions`: {changed}"
    )
    assert set(frozen) == set(now), "a problem is gone: make definitions"


def test_a_version_that_went_up_is_told_from_a_definition_that_slipped():
    frozen = json.loads(FROZEN.read_text("utf-8"))
    for name, what in frozen.items():
        version, _, digits = what.partition("-")
        assert int(version) == PROBLEMS[name].version
        assert len(digits) == 12


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("quadratic", "budget", 999),
        ("quadratic", "targets", (0.1, 1e-6)),
        ("rosenbrock-2d", "_minimum", 1e-3),
        ("reddi", "settings", {"lr": 0.02}),
        ("mnist-mlp", "observe_every", 7),
    ],
)
def test_what_a_problem_states_is_in_it(name, attribute, value):
    changed = copy.copy(PROBLEMS[name])
    setattr(changed, attribute, value)
    assert definition(changed) != definition(PROBLEMS[name])


def test_what_a_problem_does_is_in_it(monkeypatch):
    before = definition(PROBLEMS["quadratic"])
    kind = type(PROBLEMS["quadratic"])
    loss = kind.loss
    monkeypatch.setattr(kind, "loss", lambda self, p, b: loss(self, p, b) * (1 + 1e-4))
    assert definition(PROBLEMS["quadratic"]) != before
    # What is beyond its digits is a processor's rounding, not a definition.
    monkeypatch.setattr(kind, "loss", lambda self, p, b: loss(self, p, b) * (1 + 1e-12))
    assert definition(PROBLEMS["quadratic"]) == before


def test_a_start_is_in_it(monkeypatch):
    before = definition(PROBLEMS["beale"])
    kind = type(PROBLEMS["beale"])
    start = kind.start
    monkeypatch.setattr(
        kind,
        "start",
        lambda self, rng: {k: v + 1e-3 * np.ones_like(v) for k, v in start(self, rng).items()},
    )
    assert definition(PROBLEMS["beale"]) != before


def test_it_does_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    found = set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.add(definition(PROBLEMS["deep-tanh"]))
    torch.set_num_threads(before)
    assert len(found) == 1
