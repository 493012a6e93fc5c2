"""The minimum is what it is said to be: reached at the known minimizers, and never undercut."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import OptimizeResult, minimize

from optbench.problems import CATALOGUE, PROBLEMS, Problem, find_minima
from optbench.problems.convex import Quadratic, orthogonal
from optbench.problems.minima import FILE, frozen_minimum
from optbench.problems.mnist import DATA_VARIABLE, DamagedData
from optbench.problems.network import dense_start

CPU = torch.device("cpu")
NAMES = [problem.name for problem in CATALOGUE]
FROZEN = ("sparse-logistic", "mnist-logistic")
BOUNDS = ("mnist-mlp", "mnist-mlp-8", "mnist-mlp-32", "mnist-autoencoder")


def objective(problem: Problem, point: Mapping[str, np.ndarray]) -> float:
    """In float64, of a single lane."""
    lanes = {k: torch.from_numpy(np.asarray(v, dtype=np.float64)[None]) for k, v in point.items()}
    return problem.bind(torch.float64, CPU).objective(lanes).item()


def teacher(name: str) -> dict[str, np.ndarray]:
    """The network that labelled the points, drawn as the problem's source says."""
    problem = PROBLEMS[name]
    rng = np.random.default_rng(20100101)
    rng.uniform(-1, 1, (100, 2))
    return dense_start(rng, problem.widths, gain=3.0)  # type: ignore[attr-defined]


def factors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20090801)
    left, right = rng.standard_normal((40, 5)), rng.standard_normal((30, 5))
    return {"left": left / np.sqrt(5), "right": right.T}


def signs_of_wilson() -> dict[str, np.ndarray]:
    """sign(X^T y) / 4: the example after Lemma 3.1, on features that some example has."""
    problem = PROBLEMS["wilson"]
    return {"w": np.sign(problem.x.T @ problem.y) / 4}  # type: ignore[attr-defined]


def x(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.array(values)}


STYBLINSKI = -2.903534027771177  # the lowest root of 4x^3 - 32x + 5, to sixteen digits

MINIMIZERS = [
    ("quadratic", x(*[0.0] * 100)),
    ("quadratic-ill", x(*[0.0] * 100)),
    ("quadratic-ill-rotated", x(*[0.0] * 100)),
    ("l1", x(*[0.0] * 100)),
    ("rosenbrock-2d", x(1, 1)),
    ("rosenbrock-20d", x(*[1.0] * 20)),
    ("beale", x(3, 0.5)),
    ("himmelblau", x(3, 2)),
    ("himmelblau", x(-2.805118086952745, 3.131312518250573)),
    ("himmelblau", x(-3.779310253377747, -3.283185991286170)),
    ("himmelblau", x(3.584428340330492, -1.848126526964404)),
    ("styblinski-tang", x(STYBLINSKI, STYBLINSKI)),
    ("rastrigin", x(0, 0)),
    ("powell-singular", x(0, 0, 0, 0)),
    ("saddle", x(0, 1)),
    ("saddle", x(0, -1)),
    ("plateau", x(0, 0)),
    ("cliff", x(0, 0.7)),
    ("noisy-quadratic", x(*[0.0] * 100)),
    ("heavy-tailed-quadratic", x(*[0.0] * 100)),
    ("multiplicative-quadratic", x(*[0.0] * 100)),
    ("noisy-rosenbrock", x(1, 1)),
    ("reddi", x(-1)),
    ("network-2-3-1", teacher("network-2-3-1")),
    ("network-2-3-1-brief", teacher("network-2-3-1-brief")),
    ("deep-tanh", teacher("deep-tanh")),
    ("shallow-tanh", teacher("shallow-tanh")),
    ("wilson", signs_of_wilson()),
    ("matrix-completion", factors()),
]


def test_every_problem_whose_minimum_is_known_has_its_minimizer_here() -> None:
    assert {name for name, _ in MINIMIZERS} == {*NAMES} - {*FROZEN, *BOUNDS}
    assert {p.name for p in CATALOGUE if p.minimum_is_bound} == {*BOUNDS}


@pytest.mark.parametrize(("name", "point"), MINIMIZERS, ids=[n for n, _ in MINIMIZERS])
def test_the_objective_at_a_known_minimizer_is_the_minimum(
    name: str, point: dict[str, np.ndarray]
) -> None:
    problem = PROBLEMS[name]
    assert {k: v.shape for k, v in point.items()} == problem.shapes
    assert objective(problem, point) == pytest.approx(problem.minimum, rel=1e-14, abs=1e-26)


@pytest.mark.parametrize(
    ("name", "point", "value"),
    [
        ("rosenbrock-2d", x(-1.2, 1), 24.2),  # More, Garbow and Hillstrom 1981, no. 1
        ("rosenbrock-20d", x(*[-1.0, 1.0] * 10), 10 * 4 + 9 * 400),
        ("beale", x(1, 1), 14.203125),  # the same, no. 5
        ("powell-singular", x(3, -1, 0, 1), 215.0),  # the same, no. 13
        ("himmelblau", x(0, 0), 170.0),
        ("styblinski-tang", x(0, 0), 0.0),
        ("styblinski-tang", x(1, -1), -15.0),
        ("rastrigin", x(1, 0), 1.0),
        ("rastrigin", x(0.5, 0), 20.25),
        ("saddle", x(0, 0), 0.25),
        ("plateau", x(1, 1), 1 - math.exp(-1)),
        ("quadratic", x(*[1.0] * 100), 0.5 * np.logspace(-1, 0, 100).sum()),
        ("quadratic-ill", x(*[1.0] * 100), 0.5 * np.logspace(-4, 0, 100).sum()),
        ("l1", x(*[-1.0, 1.0] * 50), np.logspace(-2, 0, 100).sum()),
        ("reddi", x(0.5), 0.5 * (0.003 * 2000 - 0.997)),
    ],
)
def test_the_objective_has_the_values_of_the_literature(
    name: str, point: dict[str, np.ndarray], value: float
) -> None:
    assert objective(PROBLEMS[name], point) == pytest.approx(value, rel=1e-12)


@pytest.mark.proof
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(-4, 2), around=st.booleans())
@example(seed=0, scale=-4.0, around=True)
def test_no_point_is_below_the_minimum(name: str, seed: int, scale: float, around: bool) -> None:
    """Points of every size about zero, and about a known minimizer where there is one."""
    problem = PROBLEMS[name]
    rng = np.random.default_rng(seed)
    centre = dict(MINIMIZERS).get(name, {}) if around else {}
    point = {
        k: centre.get(k, 0.0) + 10**scale * rng.standard_normal(shape)
        for k, shape in problem.shapes.items()
    }
    if problem.projects:
        problem.project({k: torch.from_numpy(v) for k, v in point.items()})
    slack = 1e-12 * max(1.0, abs(problem.minimum))
    assert objective(problem, point) >= problem.minimum - slack


@pytest.mark.parametrize("name", NAMES)
def test_a_start_is_above_the_minimum(name: str) -> None:
    """So that a gap relative to the initial one means something."""
    problem = PROBLEMS[name]
    for seed in range(3):
        start = problem.start(problem.generators(seed)[0])
        assert objective(problem, start) > problem.minimum + 1e-5


@pytest.mark.parametrize(
    ("point", "error"),
    [
        ("sign", 9 / 24),  # Every fresh example is called positive: all nine negatives are wrong.
        ("least norm", 0.0),
        ("origin", 1.0),  # A tie is an error.
    ],
)
def test_solutions_of_the_separable_problem_differ_on_fresh_examples(
    point: str, error: float
) -> None:
    """Wilson et al. 2017, section 3: two solutions of equal, vanishing loss."""
    problem = PROBLEMS["wilson"]
    examples, y = problem.x, problem.y  # type: ignore[attr-defined]
    w = {
        "sign": signs_of_wilson()["w"],
        "least norm": np.linalg.pinv(examples) @ y,
        "origin": np.zeros(123),
    }[point]
    if point != "origin":
        np.testing.assert_allclose(examples @ w, y, atol=1e-13)
    bound = problem.bind(torch.float64, CPU)
    lanes = {"w": torch.from_numpy(np.stack([w, np.zeros(123)]))}
    assert bound.metrics(lanes)["error_rate"].tolist() == [error, 1.0]
    assert objective(problem, {"w": np.zeros(123)}) == pytest.approx(0.5, rel=1e-12)


def test_the_rotated_quadratic_is_the_plain_one_in_turned_coordinates() -> None:
    turned, plain = PROBLEMS["quadratic-ill-rotated"], PROBLEMS["quadratic-ill"]
    assert isinstance(turned, Quadratic)
    q = turned.rotation
    assert q is not None
    point = np.random.default_rng(1).standard_normal(100)
    assert objective(turned, x(*point)) == pytest.approx(objective(plain, x(*point @ q)), rel=1e-12)
    assert objective(turned, x(*point)) != pytest.approx(objective(plain, x(*point)), rel=1e-3)


@pytest.mark.parametrize("dimension", [2, 7, 100])
def test_a_rotation_is_orthogonal_and_fixed_by_its_seed(dimension: int) -> None:
    q = orthogonal(dimension, seed=3)
    np.testing.assert_allclose(q @ q.T, np.eye(dimension), atol=1e-13)
    np.testing.assert_array_equal(q, orthogonal(dimension, seed=3))
    assert not np.array_equal(q, orthogonal(dimension, seed=4))


def test_the_eigenvalues_go_from_one_over_the_condition_to_one() -> None:
    for name, condition in (("quadratic", 10.0), ("quadratic-ill", 1e4)):
        values = PROBLEMS[name].eigenvalues  # type: ignore[attr-defined]
        assert values[-1] == 1.0
        assert values[0] == pytest.approx(1 / condition, rel=1e-12)


# Minima that no formula gives.


def shipped() -> dict[str, dict[str, float]]:
    text = (resources.files("optbench.problems") / "data" / FILE).read_text("utf-8")
    return json.loads(text)


def test_the_frozen_minimum_is_found_again() -> None:
    problem = PROBLEMS["sparse-logistic"]
    found = find_minima.find(problem)
    assert found["minimum"] == pytest.approx(problem.minimum, abs=1e-9)
    assert found["gradient_norm"] < 1e-6


@pytest.mark.proof
def test_a_hundred_iterations_on_the_digits_enclose_the_frozen_minimum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The objective is strongly convex: its value and its gradient bound the minimum."""
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    cap = {"maxiter": 100, "maxcor": 30}

    def rough(fun: Any, x0: Any, *, method: str, **rest: Any) -> Any:
        if method != "L-BFGS-B":
            return OptimizeResult(x=x0)  # where the refinement begins
        return minimize(fun, x0, jac=True, method=method, options=cap)

    monkeypatch.setattr(find_minima, "minimize", rough)
    problem = PROBLEMS["mnist-logistic"]
    found = find_minima.find(problem)
    assert found["minimum"] >= problem.minimum
    assert found["minimum"] - problem.minimum < 1e-5
    assert found["minimum"] - found["error_bound"] <= problem.minimum
    assert found["error_bound"] < 1e-4


def test_what_is_frozen_is_keyed_by_problem_version_and_data() -> None:
    assert {*shipped()} == {"sparse-logistic@1/synthetic", "mnist-logistic@1/mnist-10k"}
    for entry in shipped().values():
        assert entry["gradient_norm"] < 1e-6
    assert shipped()["mnist-logistic@1/mnist-10k"]["error_bound"] < 1e-10


def test_an_unknown_minimum_names_the_command_that_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(DamagedData, match=r"find_minima sparse-logistic$"):
        frozen_minimum("sparse-logistic", 99, "synthetic")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DamagedData, match=rf"find_minima mnist-logistic --to {tmp_path}$"):
        frozen_minimum("mnist-logistic", 1, "mnist-70k")
    (tmp_path / FILE).write_text('{"mnist-logistic@1/mnist-70k": {"minimum": 0.25}}', "utf-8")
    assert frozen_minimum("mnist-logistic", 1, "mnist-70k") == 0.25


def test_find_minima_checks_without_writing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The value beside the user's data is compared, and a wrong one is an exit status of 1."""
    monkeypatch.setenv(DATA_VARIABLE, "")
    monkeypatch.setattr(find_minima, "find", lambda problem: {"minimum": 0.5})
    file = tmp_path / FILE
    for known, status in ((0.5, 0), (0.5 + 1e-6, 1)):
        file.write_text(json.dumps({"sparse-logistic@1/synthetic": {"minimum": known}}), "utf-8")
        before = file.read_text("utf-8")
        asked = ["sparse-logistic", "--to", str(tmp_path), "--check"]
        assert find_minima.main(asked) == status
        assert file.read_text("utf-8") == before
    assert find_minima.main(["sparse-logistic", "--to", str(tmp_path)]) == 0
    assert json.loads(file.read_text("utf-8")) == {"sparse-logistic@1/synthetic": {"minimum": 0.5}}
    with pytest.raises(SystemExit):
        find_minima.main(["quadratic"])
    assert "needs no reference minimum" in capsys.readouterr().err
