"""What asv is given: lists that are the registry's, pins that are the project's, and numbers that
asv can hold, whatever an optimizer does."""

import importlib
import itertools
import json
import math
import re
import sys
import tomllib
from pathlib import Path

import pytest

from optbench import asv
from optbench.asv import plain_loop
from optbench.engine.model_shapes import ELEMENTS, MODELS
from optbench.engine.suites import SLOW_LANES
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.catalogue import BASES
from optbench.problems import PROBLEMS

TOP = Path(__file__).resolve().parents[2]
MODULES = ("convergence", "step", "memory", "engine", "imports")


@pytest.fixture(scope="module")
def benchmarks():
    sys.path.insert(0, str(TOP))
    try:
        yield {name: importlib.import_module(f"benchmarks.{name}") for name in MODULES}
    finally:
        sys.path.remove(str(TOP))


def classes(benchmarks):
    return {
        f"{module}.{name}": kind
        for module, content in benchmarks.items()
        for name, kind in vars(content).items()
        if isinstance(kind, type) and kind.__module__.startswith("benchmarks.")
    }


def test_no_module_is_forgotten():
    assert {path.stem for path in (TOP / "benchmarks").glob("*.py")} == {"__init__", *MODULES}


def test_the_lists_are_the_registrys(benchmarks):
    rows = {row.name for row in BASES} - {*SLOW_LANES, "sparseadam"}
    assert set(benchmarks["convergence"].OPTIMIZERS) == rows
    assert set(classes(benchmarks)["memory.Memory"].params[0]) == {row.name for row in BASES}
    for kind in classes(benchmarks).values():
        params = dict(
            zip(getattr(kind, "param_names", ()), getattr(kind, "params", ()), strict=True)
        )
        for name, values in params.items():
            registry = {"optimizer": OPTIMIZERS, "problem": PROBLEMS, "shapes": MODELS}.get(name)
            made_here = {"mlp-64-32-10"}
            assert registry is None or all(v in registry or v in made_here for v in values)


def test_results_stand_for_the_definitions_that_are_frozen():
    ours = json.loads((TOP / "benchmarks/definitions.json").read_text())
    assert ours == json.loads((TOP / "tests/problems/definitions.json").read_text())


def test_versions_come_from_the_definitions(benchmarks):
    kind = classes(benchmarks)["convergence.Convergence"]
    body = {"params": kind.params, "recorded": {**kind.recorded, "beale": "2-000000000000"}}
    changed = type("Changed", (asv.Convergence,), body)
    assert changed.version != kind.version
    same = type("Same", (asv.Convergence,), {"params": kind.params})
    assert same.version == kind.version  # recorded as they are: nothing has slipped


def test_each_class_trains_for_itself(benchmarks):
    # asv keeps what setup_cache gives by file and line: inherited, two would share it.
    for name, kind in classes(benchmarks).items():
        if issubclass(kind, asv.Convergence | asv.Accuracy):
            assert "setup_cache" in vars(kind), name


TRACK = re.compile("track_.+")


FEW = {"convergence.Convergence": ("beale", "noisy-quadratic", "matrix-completion")}
"""Problems, of those that take longest; what a value may be does not depend on the problem
(tests/tracking/test_tracked.py)."""


def all_values(kind, monkeypatch):
    """Every value of a class, of a training and timings that are as short as can be."""
    if issubclass(kind, asv.Convergence | asv.Accuracy):
        monkeypatch.setattr(kind, "budget", 6)
        monkeypatch.setattr(kind, "tune", False)
        monkeypatch.setattr(kind, "seeds", 8)
        one = kind()
        trained = one.setup_cache()
        for pair in itertools.product(*kind.params):
            try:
                one.setup(trained, *pair)
            except NotImplementedError:
                continue
            for name in filter(TRACK.match, dir(kind)):
                yield getattr(one, name)(trained, *pair)["samples"]
        return
    params = getattr(kind, "params", ())
    for name in filter(TRACK.match, dir(kind)):
        for first in params[0] if params else ((),):
            one = kind()
            chosen = (first, *(values[0] for values in params[1:])) if params else ()
            one.setup(*chosen)
            found = getattr(one, name)(*chosen)
            yield found["samples"] if isinstance(found, dict) else [found]


NAMES = ("convergence.Convergence", "convergence.Sparse", "convergence.Mnist", "step.RelativeStep",
         "step.MemoryBound", "memory.Memory", "engine.Lanes")  # fmt: skip


def test_no_tracking_class_is_forgotten(benchmarks):
    tracked = {n for n, kind in classes(benchmarks).items() if any(map(TRACK.match, dir(kind)))}
    assert tracked == set(NAMES)


@pytest.mark.proof
@pytest.mark.parametrize("name", NAMES)
def test_every_tracked_value_is_positive_and_finite(benchmarks, name, monkeypatch):
    kind = classes(benchmarks)[name]
    if name in FEW:
        monkeypatch.setattr(kind, "params", (kind.params[0], FEW[name]))
        monkeypatch.setattr(kind, "recorded", {each: kind.recorded[each] for each in FEW[name]})
    if name == "convergence.Mnist":
        monkeypatch.setattr(kind, "params", (("adam", "muon", "sgd"), kind.params[1]))
    monkeypatch.setattr(asv.Memory, "parameters", 10_000)
    monkeypatch.setattr(asv.MemoryBound, "parameters", 10_000)
    short = dict.fromkeys(plain_loop.CASES, (2, 3))
    monkeypatch.setattr(plain_loop, "CASES", short)
    count = 0
    for drawn in all_values(kind, monkeypatch):
        assert all(math.isfinite(value) and value > 0 for value in drawn)
        count += 1
    assert count


@pytest.mark.parametrize("name", MODELS)
def test_a_step_over_the_shapes_of_a_model_moves_all_of_them(benchmarks, name):
    one = classes(benchmarks)["step.ModelStep"]()
    assert name in one.params[1]
    one.setup("sgd", name)
    before = [parameter.detach().clone() for parameter in one.bench.params]
    one.time_model_step("sgd", name)
    assert one.bench.parameters == pytest.approx(ELEMENTS, rel=0.02)
    assert all((old != new).any() for old, new in zip(before, one.bench.params, strict=True))


def configuration():
    text = (TOP / "asv.conf.json").read_text("utf-8")
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))


def test_asv_installs_what_the_project_pins():
    pins = dict(
        line.strip().split("==")
        for line in (TOP / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=!~\[ ]", each)[0].lower() for each in project["dependencies"]}
    matrix = configuration()["matrix"]["req"]
    assert wanted <= {name.lower() for name in matrix}
    for name, versions in matrix.items():
        assert versions == [pins[name]], name


def test_a_commit_is_installed_without_what_it_needs():
    conf = configuration()
    for command in (*conf["build_command"], *conf["install_command"]):
        assert "--no-deps" in command
    assert conf["branches"] == ["HEAD"]
    assert all(conf[f"{each}_dir"].startswith(".asv/") for each in ("env", "results", "html"))
