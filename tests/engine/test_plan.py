"""From what is asked for to the runs that it takes, and the suites that ship."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from optbench.engine.plan import NoSuchDevice, NothingToRun, Selection, count, parse_seeds, plan
from optbench.engine.runs import Run, frozen
from optbench.engine.suites import MNIST, NOT_RANDOM, SUITES, TRIED_SCHEDULES, Suite
from optbench.optimizers import OPTIMIZERS, WrongHyperparameter
from optbench.optimizers.catalogue import TEXTBOOK
from optbench.problems import CATALOGUE, PROBLEMS
from optbench.registry import NotAdoptable, UnknownName


def select(*optimizers: str, on: tuple[str, ...] = ("quadratic",), **rest: Any) -> Selection:
    return Selection(optimizers=optimizers or ("adam",), problems=on, **rest)


def runs(*selections: Selection, **rest: Any) -> tuple[Run, ...]:
    return plan(selections, **rest).runs


# What a selection gives.


def test_a_plan_is_every_optimizer_on_every_problem_at_every_seed() -> None:
    made = runs(select("adam", "sgd", on=("quadratic", "beale"), seeds=(3, 1, 3)))
    assert [(r.optimizer, r.problem, r.seed) for r in made] == [
        (o, p, s) for o in ("adam", "sgd") for p in ("quadratic", "beale") for s in (1, 3)
    ]


def test_a_run_says_all_that_decides_it() -> None:
    (run,) = runs(select("nesterov", seeds=(7,)), dtype="float64")
    assert run == Run(
        "nesterov",
        (("lr", 1e-3), ("momentum", 0.9), ("nesterov", True)),
        "quadratic",
        PROBLEMS["quadratic"].version,
        "none",
        7,
        1000,
        "float64",
        "cpu",
    )
    assert run.default
    (run,) = runs(select(on=("mnist-mlp",), seeds=(0,), budget=10))
    assert (run.data, run.budget, run.dtype) == ("mnist-10k", 10, "float32")


def test_a_run_that_is_asked_for_twice_is_run_once() -> None:
    one = select(seeds=(0, 1))
    assert runs(one, one, select("adam", "sgd", seeds=(1, 2))) == (
        *runs(one),
        *runs(select(seeds=(2,))),
        *runs(select("sgd", seeds=(1, 2))),
    )
    assert len(runs(select(rates=(0.1, 0.1), seeds=(0,)))) == 1


def test_the_default_league_is_marked_wherever_its_settings_come_from() -> None:
    for selection in (
        select(seeds=(0,)),
        select(seeds=(0,), rates="tuned"),
        select(seeds=(0,), rates=(1e-4, 1e-3)),
        select(seeds=(0,), settings={"lr": 1e-3}),
    ):
        marked = [r.settings for r in runs(selection) if r.default]
        assert marked == [{"lr": 1e-3}]
    assert not any(r.default for r in runs(select(settings={"eps": 1e-6})))
    assert not any(r.default for r in runs(select(settings={"eps": 1e-6}, rates="tuned")))


def test_tuned_is_the_default_and_the_whole_space_each_once() -> None:
    space = OPTIMIZERS["adam"].space["lr"]
    rates = [r.settings["lr"] for r in runs(select(rates="tuned", seeds=(0,)))]
    assert rates[0] == 1e-3
    assert sorted(rates) == sorted({*space, 1e-3})
    thinned = [r.settings["lr"] for r in runs(select(rates="tuned", seeds=(0,), thin=3))]
    assert sorted(thinned) == sorted({*space[::3], 1e-3})
    fixed = runs(select(rates="tuned", seeds=(0,), settings={"lr": 0.5}))
    assert [r.settings["lr"] for r in fixed] == [0.5], "what is set is not searched"


def test_given_rates_and_settings_come_on_top_of_the_defaults() -> None:
    made = runs(select("nesterov", rates=(0.5,), settings={"momentum": 0.7}, seeds=(0,)))
    assert [r.settings for r in made] == [{"lr": 0.5, "momentum": 0.7, "nesterov": True}]


def test_schedules_come_beside_what_is_asked_for_and_are_no_defaults() -> None:
    asked = {"rates": (1e-3, 0.1), "seeds": (0, 1)}
    plain = runs(select("adam", "sgd", **asked))
    both = runs(select("adam", "sgd", **asked, schedules=("cosine", "step")))
    assert [r for r in both if "lr_schedule" not in r.settings] == [*plain]
    assert [r.default for r in both if "lr_schedule" not in r.settings] == [
        r.default for r in plain
    ]
    for name in ("cosine", "step"):
        those = [r for r in both if r.settings.get("lr_schedule") == name]
        assert [(r.optimizer, r.settings["lr"], r.seed) for r in those] == [
            (r.optimizer, r.settings["lr"], r.seed) for r in plain
        ]
        assert not any(r.default for r in those)
    assert len(both) == 3 * len(plain)


def test_schedules_are_named_by_globs_too_and_one_that_is_set_is_for_all() -> None:
    names = [r.settings.get("lr_schedule") for r in runs(select(seeds=(0,), schedules=("warm*",)))]
    assert names == [None, "warmup", "warmup-cosine"]
    (only,) = runs(select(seeds=(0,), settings={"lr_schedule": "step"}))
    assert only.settings == {"lr": 1e-3, "lr_schedule": "step"}
    assert not only.default


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("adam", {"lr": 0.01, "betas": (0.9, 0.98)}),
        ("amsgrad", {"lr": 0.01, "betas": (0.9, 0.98), "amsgrad": True}),
        ("lion", {"lr": 0.01, "betas": (0.9, 0.98)}),
        ("sgd", {"lr": 1e-3}),
        ("rmsprop", {"lr": 1e-2}),
    ],
)
def test_what_a_problem_fixes_is_for_those_that_take_all_of_it(
    optimizer: str, expected: dict[str, Any]
) -> None:
    (run,) = runs(select(optimizer, on=("reddi",), seeds=(0,)))
    assert run.settings == expected
    assert run.default
    (elsewhere,) = runs(select(optimizer, seeds=(0,)))
    assert elsewhere.settings == dict(OPTIMIZERS[optimizer].defaults)


def test_pairs_that_do_not_fit_are_left_out_with_the_reason() -> None:
    made = plan([select("muon", "sparseadam", "adam", on=("quadratic", "matrix-completion"))])
    assert dict(made.not_applicable) == {
        ("muon", "quadratic"): "no parameter of it is a matrix",
        ("sparseadam", "quadratic"): "its gradients are not sparse",
        ("sparseadam", "matrix-completion"): "its gradients are not sparse",
    }
    assert {(r.optimizer, r.problem) for r in made.runs} == {
        ("muon", "matrix-completion"),
        ("adam", "quadratic"),
        ("adam", "matrix-completion"),
    }


def test_nothing_to_run_is_an_error_that_says_why() -> None:
    with pytest.raises(NothingToRun) as caught:
        plan([select("muon", on=("quadratic", "beale"))])
    assert str(caught.value) == (
        "nothing to run: muon on quadratic: no parameter of it is a matrix; "
        "muon on beale: no parameter of it is a matrix"
    )


@pytest.mark.parametrize(
    ("selection", "error", "said"),
    [
        (select("adm"), UnknownName, "unknown optimizer 'adm'"),
        (select(on=("rosenbrok",)), UnknownName, "unknown problem 'rosenbrok'"),
        (select("z*"), UnknownName, "no optimizer fits the pattern 'z*'"),
        (select("math:pi"), NotAdoptable, "'math:pi' is a float"),
        (select(settings={"momentun": 1}), WrongHyperparameter, "adam takes no hyperparameter"),
        (select(rates=(-0.1,)), WrongHyperparameter, "adam: lr must be a finite number >= 0"),
        (select(settings={"lr": "fast"}), WrongHyperparameter, "not 'fast'"),
        (select(settings={"eps": -1.0}), WrongHyperparameter, "adam refuses ("),
        (select(schedules=("cosin",)), UnknownName, "unknown schedule 'cosin'; did you mean"),
        (select(schedules=("x*",)), UnknownName, "no schedule fits the pattern 'x*'"),
        (select(settings={"lr_schedule": 1}), WrongHyperparameter, "lr_schedule is the name of"),
    ],
)
def test_a_wrong_selection_is_refused_before_anything_runs(
    selection: Selection, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        plan([selection])
    assert said in str(caught.value)


def test_a_device_that_is_not_here_is_refused() -> None:
    for device in ("no-such-device", "cuda:99"):
        with pytest.raises(ValueError, match=f"device '{device}' is not available here"):
            plan([select()], device=device)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": ()},
        {"seeds": (-1,)},
        {"seeds": (2**31,)},
        {"thin": 0},
        {"budget": 0},
        {"rates": "best"},
        {"no_such_field": 1},
    ],
)
def test_a_selection_checks_its_own_fields(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Selection(**wrong)


def test_frozen_settings_are_sorted_and_hashable() -> None:
    assert frozen({"lr": 1, "betas": [0.9, 0.99]}) == (("betas", (0.9, 0.99)), ("lr", 1))
    assert frozen({"a": 1, "b": 2}) == frozen({"b": 2, "a": 1})
    hash(frozen({"betas": [0.9, 0.99]}))


# Seeds.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", (0,)),
        ("4", (0, 1, 2, 3)),
        (" 3 ", (0, 1, 2)),
        ("3,5,8", (3, 5, 8)),
        ("8,3,3", (3, 8)),
        ("10-12", (10, 11, 12)),
        ("7-7", (7,)),
        ("1, 4-6", (1, 4, 5, 6)),
        ("5,", None),
        ("", None),
        ("0", None),
        ("-3", None),
        ("5-3", None),
        ("a", None),
        ("1.5", None),
        ("1-2-3", None),
        ("²", None),
    ],
)
def test_seeds_are_a_count_a_list_or_a_range(text: str, expected: tuple[int, ...] | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="seeds are a count") as caught:
            parse_seeds(text)
        assert repr(text) in str(caught.value)
    else:
        assert parse_seeds(text) == expected


def test_too_many_seeds_are_refused() -> None:
    assert len(parse_seeds("100000")) == 100_000
    with pytest.raises(ValueError, match="100,001 seeds are more than 100,000"):
        parse_seeds("100001")


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=20))
def test_a_list_of_seeds_is_read_back_sorted_and_once(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds))) == tuple(sorted({*seeds}))


# The suites.


def pairs(made: tuple[Run, ...]) -> dict[tuple[str, str], list[Run]]:
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in made:
        found[run.optimizer, run.problem].append(run)
    return found


@pytest.mark.parametrize("name", ["smoke", "quick", "nightly", "full"])
def test_a_suite_can_be_planned_and_no_run_is_in_it_twice(name: str) -> None:
    made = runs(*SUITES[name].selections)
    assert len({*made}) == len(made) > 0
    assert SUITES[name].summary.endswith(".")


def test_quick_compares_14_optimizers_on_12_problems_of_all_families_default_and_tuned() -> None:
    made = runs(*SUITES["quick"].selections)
    assert len({r.optimizer for r in made}) >= 14
    assert len({r.problem for r in made}) >= 12
    assert {PROBLEMS[r.problem].family for r in made} == {p.family for p in CATALOGUE}
    assert "mnist-mlp" in {r.problem for r in made}
    searched = 0
    for (_, problem), group in pairs(made).items():
        assert any(r.default for r in group), "each pair is in the default league"
        assert len({r.seed for r in group}) >= 2, "tuned on some seeds, scored on others"
        searched += any(not r.default for r in group)
        if problem != "reddi":
            assert any(not r.default for r in group)
    assert searched >= 14 * 12


@pytest.mark.parametrize("selections", [
    SUITES["smoke"].selections,
    SUITES["quick"].selections,
    (select(seeds=(0, 1)), select(seeds=(1, 2), schedules=("step",)), select(seeds=(5,), budget=3)),
    (select("adam", "lbfgs", on=("quadratic", "mnist-mlp", "beale"), ddp=2),),
])  # fmt: skip
def test_runs_are_counted_as_they_are_planned(selections: tuple[Selection, ...]) -> None:
    assert count(selections) == len(plan(selections).runs)


def test_nightly_is_the_whole_catalogue_in_40_000_runs() -> None:
    made = plan(SUITES["nightly"].selections)
    assert count(SUITES["nightly"].selections) == len(made.runs) >= 40_000
    # The transcriptions are what others are compared with, and too slow to compete.
    rows = [row for row in OPTIMIZERS if row not in TEXTBOOK]
    assert {r.optimizer for r in made.runs} == {row.name for row in rows}
    assert {r.problem for r in made.runs} == {problem.name for problem in PROBLEMS}
    found = pairs(made.runs)
    for optimizer in rows:
        for problem in CATALOGUE:
            fits = optimizer.needs <= problem.traits
            left_out = (optimizer.variant and problem.name in (*MNIST, *NOT_RANDOM, "reddi")) or (
                optimizer.name in ("lbfgs", "adam-swarm") and problem.name == "reddi"
            )
            assert ((optimizer.name, problem.name) in found) == (fits and not left_out)
    for (name, _), group in found.items():
        assert any(r.default for r in group)
        if not OPTIMIZERS[name].variant:
            assert any(not r.default for r in group)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("name", "problems"),
    [("quick", {"cliff"}), ("nightly", {"cliff", "deep-tanh", "noisy-quadratic"})],
)
def test_a_suite_has_every_schedule_at_every_rate_beside_the_run_without(
    name: str, problems: set[str]
) -> None:
    made = runs(*SUITES[name].selections)
    scheduled = [r for r in made if "lr_schedule" in r.settings]
    assert {r.problem for r in scheduled} == problems
    assert {r.optimizer for r in scheduled} == {"adam", "sgd"}
    assert {r.settings["lr_schedule"] for r in scheduled} == {*TRIED_SCHEDULES}
    plain = {r for r in made if r not in scheduled and r.problem in problems}
    for schedule in TRIED_SCHEDULES:
        alike = {
            dataclasses.replace(r, hyperparameters=(("lr", r.settings["lr"]),))
            for r in scheduled
            if r.settings["lr_schedule"] == schedule
        }
        assert alike == {r for r in plain if r.optimizer in ("adam", "sgd")}


@pytest.mark.proof
def test_a_problem_with_nothing_random_gets_the_fewest_seeds_that_tuning_takes() -> None:
    for name in ("quick", "nightly", "full"):
        made = runs(*SUITES[name].selections)
        assert {r.seed for r in made if r.problem in NOT_RANDOM} == {0, 1}
    for problem in map(PROBLEMS.__getitem__, NOT_RANDOM):
        starts = [problem.start(problem.generators(seed)[0]) for seed in (0, 1)]
        assert all((starts[0][k] == starts[1][k]).all() for k in starts[0])
        assert problem.deterministic


def test_full_holds_the_nightly_and_more() -> None:
    nightly, full = ({*runs(*SUITES[name].selections)} for name in ("nightly", "full"))
    assert nightly < full


def test_a_suite_of_ones_own_is_found_like_any_other_entry() -> None:
    assert isinstance(SUITES[f"{__name__}:MINE"], Suite)
    with pytest.raises(NotAdoptable, match="not an optbench Suite"):
        SUITES["math:pi"]
    with pytest.raises(UnknownName, match="did you mean 'nightly'"):
        SUITES["nightli"]


MINE = Suite("mine", "One run.", (select(seeds=(0,)),))


def test_the_default_flag_is_no_part_of_what_a_run_is() -> None:
    (run,) = runs(select(seeds=(0,)))
    assert dataclasses.replace(run, default=False) == run
    assert hash(dataclasses.replace(run, default=False)) == hash(run)


def test_a_device_of_other_machines_is_not_looked_for_here() -> None:
    chosen = [Selection(optimizers=("adam",), problems=("quadratic",), seeds=(0,))]
    with pytest.raises(NoSuchDevice):
        plan(chosen, device="cuda:7")
    (run,) = plan(chosen, device="cuda:7", elsewhere=True).runs
    assert run.device == "cuda:7"
    with pytest.raises(NoSuchDevice, match="'nonsense' is not a device"):
        plan(chosen, device="nonsense", elsewhere=True)
