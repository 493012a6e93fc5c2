"""The registry: a wrong name is answered with the right one, and strangers break nothing."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from optbench import registry as registries
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.optimizers.recipe import adopt
from optbench.problems import PROBLEMS, Problem
from optbench.registry import NotAdoptable, Registry, UnknownName, import_attribute


@dataclass(frozen=True)
class Entry:
    name: str
    size: int = 0


def adopt_entry(obj: Any, name: str) -> Entry:
    if isinstance(obj, Entry):
        return obj
    if obj is Entry:
        return Entry(name)
    raise NotAdoptable(f"{name!r} is a {type(obj).__name__}")


THIRD = Entry("third")
PAIR = [Entry("fourth"), Entry("fifth")]
CLASH = Entry("adam")
WRONG = 3
NAMES = ("adam", "adam[fused]", "adamw", "sgd", "sgd[fused]", "sgd[foreach]", "a", "f")


@pytest.fixture
def catalogue() -> Registry[Entry]:
    """Eight entries, and a group that no distribution declares."""
    made = Registry("optimizer", "optbench.no-such-group", adopt_entry)
    for size, name in enumerate(NAMES):
        made.register(Entry(name, size))
    return made


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Writes an importable module, which is forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> str:
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
        return name

    return write


def declare(monkeypatch: pytest.MonkeyPatch, **points: str) -> list[str]:
    """Let other distributions declare entry points; gives the groups that are asked for."""
    asked = []

    def entry_points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        asked.append(group)
        return [importlib.metadata.EntryPoint(n, v, group) for n, v in points.items()]

    monkeypatch.setattr(registries, "entry_points", entry_points)
    return asked


def test_a_second_entry_of_a_name_is_refused_and_the_first_one_stays(
    catalogue: Registry[Entry],
) -> None:
    with pytest.raises(ValueError, match="optimizer 'adam' is registered already"):
        catalogue.register(Entry("adam", 99))
    assert catalogue["adam"].size == 0
    assert len(catalogue) == len(NAMES)


def test_register_gives_the_entry_back(catalogue: Registry[Entry]) -> None:
    entry = Entry("new")
    assert catalogue.register(entry) is entry
    assert catalogue["new"] is entry
    assert "new" in catalogue
    assert [e.name for e in catalogue] == [*NAMES, "new"]


def test_what_is_of_the_main_module_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownName) as caught:
        OPTIMIZERS["__main__:MyAdam"]
    assert str(caught.value) == (
        "'__main__:MyAdam' is of the main script or notebook, which worker processes do not "
        "import: put it into a module, and name it as my_module:Name"
    )


def test_what_one_process_registered_is_nowhere_else(
    catalogue: Registry[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, third=f"{__name__}:THIRD")
    catalogue.register(Entry("shipped"), everywhere=True)
    for name in ("shipped", "third", "some.module:Entry"):
        catalogue.require_elsewhere(name)
    with pytest.raises(NotAdoptable) as caught:
        catalogue.require_elsewhere("sgd[fused]")
    assert str(caught.value) == (
        "optimizer 'sgd[fused]' was registered in this process, and worker processes do not know "
        "it: declare it under the entry-point group optbench.no-such-group, or name it by where it "
        "can be imported from, as my_module:ROW"
    )


@pytest.mark.parametrize(
    ("wrong", "right"), [("adm", "'adam'"), ("ADAM", "'adam'"), ("sdg", "'sgd'")]
)
def test_a_wrong_name_is_answered_with_the_nearest_and_the_list_command(
    catalogue: Registry[Entry], wrong: str, right: str
) -> None:
    with pytest.raises(UnknownName) as caught:
        catalogue[wrong]
    text = str(caught.value)
    assert text.startswith(f"unknown optimizer {wrong!r}; did you mean ")
    assert right in text
    assert text.endswith("(optbench list optimizers)")


def test_a_name_like_none_gets_no_suggestion(catalogue: Registry[Entry]) -> None:
    with pytest.raises(UnknownName) as caught:
        catalogue["quixotic"]
    assert str(caught.value) == "unknown optimizer 'quixotic' (optbench list optimizers)"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), list(NAMES)),
        (("*",), list(NAMES)),
        (("adam*",), ["adam", "adam[fused]", "adamw"]),
        (("?",), ["a", "f"]),
        (("adam[fused]",), ["adam[fused]"]),
        (("*[fused]",), ["adam[fused]", "sgd[fused]"]),
        (("sgd[f*",), ["sgd[fused]", "sgd[foreach]"]),
        (("sgd", "adam"), ["sgd", "adam"]),
        (("adam*", "adam", "a*"), ["adam", "adam[fused]", "adamw", "a"]),
    ],
)
def test_globs_take_brackets_literally_and_give_each_entry_once_in_order(
    catalogue: Registry[Entry], patterns: tuple[str, ...], expected: list[str]
) -> None:
    assert [e.name for e in catalogue.select(*patterns)] == expected


def test_select_filters(catalogue: Registry[Entry]) -> None:
    assert [e.name for e in catalogue.select("*a*", where=lambda e: e.size > 2)] == [
        "sgd[foreach]",
        "a",
    ]


@pytest.mark.parametrize("pattern", ["z*", "[as]*", "adam[[]fused]*"])
def test_a_pattern_that_fits_nothing_is_an_error(catalogue: Registry[Entry], pattern: str) -> None:
    with pytest.raises(UnknownName) as caught:
        catalogue.select(pattern)
    assert repr(pattern) in str(caught.value)
    assert "optbench list optimizers" in str(caught.value)


def test_a_class_named_by_its_path_becomes_a_row_on_the_safe_route() -> None:
    row = OPTIMIZERS["torch.optim:Adam"]
    assert row.name == "torch.optim:Adam"
    assert row.factory is torch.optim.Adam
    assert row.route is Route.INSTANCE
    assert dict(row.defaults) == {"lr": 1e-3}
    assert not row.closure
    assert OPTIMIZERS["torch.optim:LBFGS"].closure


def test_an_adopted_class_is_found_again_and_not_listed() -> None:
    before = len(OPTIMIZERS)
    row = OPTIMIZERS["torch.optim:SGD"]
    assert OPTIMIZERS["torch.optim:SGD"] is row
    assert len(OPTIMIZERS) == before
    assert "torch.optim:SGD" not in OPTIMIZERS
    assert row not in list(OPTIMIZERS)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("collections:OrderedDict", "the class OrderedDict"),
        ("math:sqrt", "the function sqrt"),
        ("math:pi", "a float"),
        ("torch.optim:lr_scheduler", "a module"),
        ("torch.optim:Optimizer", "is the base class of all optimizers"),
    ],
)
def test_what_is_no_optimizer_is_not_adopted_and_the_text_says_what_it_is(
    path: str, what: str
) -> None:
    with pytest.raises(NotAdoptable) as caught:
        OPTIMIZERS[path]
    assert repr(path) in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_such_module:Adam", "cannot import 'no_such_module'"),
        ("torch.optim:Adm", "module 'torch.optim' has no 'Adm'; did you mean 'Adam'"),
        ("torch.optim:Adam.no_such_thing", "has no 'Adam.no_such_thing'"),
        (":Adam", "is not of the form package.module:Name"),
        ("torch.optim:", "is not of the form package.module:Name"),
    ],
)
def test_a_path_that_leads_nowhere_is_an_unknown_name_with_the_reason(path: str, said: str) -> None:
    with pytest.raises(UnknownName) as caught:
        OPTIMIZERS[path]
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_module_that_does_not_import_is_answered_with_its_exception(
    module: Callable[[str, str], str], text: str, said: str
) -> None:
    name = module("some_broken_module", text)
    with pytest.raises(UnknownName) as caught:
        import_attribute(f"{name}:Adam")
    assert f"cannot import '{name}'" in str(caught.value)
    assert said in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_path_may_lead_through_attributes() -> None:
    assert import_attribute("torch:optim.Adam") is torch.optim.Adam


@pytest.mark.parametrize(
    ("signature", "checks", "defaults"),
    [
        ("lr=None", "", {}),
        ("lr=None", "assert lr > 0", {"lr": 1e-3}),
        ("size=0.5", "lr = size", {}),
    ],
)
def test_a_class_that_runs_without_a_rate_is_given_none(
    module: Callable[[str, str], str], signature: str, checks: str, defaults: dict[str, float]
) -> None:
    name = module(
        "no_rates",
        "import torch\n"
        "class Some(torch.optim.Optimizer):\n"
        f"    def __init__(self, params, {signature}):\n"
        f"        {checks or 'pass'}\n"
        "        super().__init__(params, {'lr': lr})\n"
        "    def step(self, closure=None): ...\n",
    )
    row = adopt(import_attribute(f"{name}:Some"), "some")
    assert row.defaults == defaults
    assert bool(row.space) == bool(defaults)


@pytest.mark.parametrize(
    ("signature", "lr"),
    [
        ("lr=0.5", 0.5),
        ("lr", 1e-3),
        ("lr=torch.tensor(0.25)", 0.25),
        ("lr=1", 1.0),
    ],
)
def test_an_adopted_class_keeps_its_own_rate_where_it_is_a_number(
    module: Callable[[str, str], str], signature: str, lr: float
) -> None:
    name = module(
        "some_rates",
        "import torch\n"
        "class Some(torch.optim.Optimizer):\n"
        f"    def __init__(self, params, {signature}):\n"
        "        super().__init__(params, {'lr': lr})\n"
        "    def step(self, closure): ...\n",
    )
    row = adopt(import_attribute(f"{name}:Some"), "some")
    assert row.defaults["lr"] == lr
    assert isinstance(row.defaults["lr"], float)
    assert row.closure


def test_a_problem_is_adopted_from_what_makes_one(module: Callable[[str, str], str]) -> None:
    name = module(
        "some_problems",
        "from optbench.problems.convex import Quadratic\n"
        "def bowl(): return Quadratic('bowl', condition=2.0)\n"
        "def no_problem(): return 3\n"
        "def needs(x): ...\n",
    )
    made = PROBLEMS[f"{name}:bowl"]
    assert isinstance(made, Problem)
    assert made.name == f"{name}:bowl"
    assert PROBLEMS[f"{name}:bowl"] is made
    assert made not in list(PROBLEMS)
    with pytest.raises(NotAdoptable, match="is a int, not an optbench Problem"):
        PROBLEMS[f"{name}:no_problem"]
    with pytest.raises(NotAdoptable, match="cannot be called without arguments"):
        PROBLEMS[f"{name}:needs"]
    with pytest.raises(NotAdoptable, match="not an optbench Problem"):
        PROBLEMS["math:pi"]


def test_other_distributions_add_entries_of_their_own(
    monkeypatch: pytest.MonkeyPatch, catalogue: Registry[Entry]
) -> None:
    asked = declare(
        monkeypatch, one=f"{__name__}:THIRD", two=f"{__name__}:PAIR", three=f"{__name__}:Entry"
    )
    assert [e.name for e in catalogue] == [*NAMES, "third", "fourth", "fifth", "three"]
    assert catalogue["third"] is THIRD
    assert catalogue.broken == {}
    assert asked == ["optbench.no-such-group"], "asked for once, and only for its own group"


def test_a_name_of_the_package_is_found_without_asking_other_distributions(
    monkeypatch: pytest.MonkeyPatch, catalogue: Registry[Entry]
) -> None:
    asked = declare(monkeypatch, one=f"{__name__}:THIRD")
    assert catalogue["adam"].name == "adam"
    assert asked == []
    assert catalogue["third"] is THIRD


def test_a_broken_entry_point_is_noted_and_takes_nothing_down(
    monkeypatch: pytest.MonkeyPatch,
    catalogue: Registry[Entry],
    module: Callable[[str, str], str],
) -> None:
    module("some_crash", "raise RuntimeError('boom')")
    declare(
        monkeypatch,
        crash="some_crash:X",
        gone="no_such_module_at_all:X",
        lacks=f"{__name__}:NoSuchThing",
        wrong=f"{__name__}:WRONG",
        good=f"{__name__}:THIRD",
    )
    assert [e.name for e in catalogue] == [*NAMES, "third"]
    assert sorted(catalogue.broken) == ["crash", "gone", "lacks", "wrong"]
    assert catalogue.broken["crash"] == "some_crash:X: RuntimeError: boom"
    assert "ModuleNotFoundError" in catalogue.broken["gone"]
    assert "NotAdoptable: 'wrong' is a int" in catalogue.broken["wrong"]


def test_an_entry_point_cannot_take_a_name_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, catalogue: Registry[Entry]
) -> None:
    first = catalogue["adam"]
    declare(monkeypatch, clash=f"{__name__}:CLASH", good=f"{__name__}:THIRD")
    assert len(catalogue) == len(NAMES) + 1
    assert catalogue["adam"] is first
    assert "registered already" in catalogue.broken["clash"]


def test_an_optimizer_class_may_be_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Registry[Optimizer] = Registry("optimizer", "optbench.optimizers", adopt)
    asked = declare(monkeypatch, theirs="torch.optim:Adagrad")
    assert made["theirs"].factory is torch.optim.Adagrad
    assert made["theirs"].route is Route.INSTANCE
    assert asked == ["optbench.optimizers"]
