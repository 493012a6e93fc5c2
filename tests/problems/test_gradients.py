"""What the optimizer sees has the gradient of what is scored, on average."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optbench.problems import CATALOGUE, PROBLEMS, Problem
from optbench.problems.batches import index_batches

CPU = torch.device("cpu")
NOISY = ["noisy-quadratic", "multiplicative-quadratic", "noisy-rosenbrock", "reddi"]
MINI_BATCHES = {
    "sparse-logistic": (2600, 32),
    "mnist-logistic": (8000, 128),
    "mnist-autoencoder": (8000, 64),
    "mnist-mlp": (8000, 64),
    "mnist-mlp-8": (8000, 64),
    "mnist-mlp-32": (8000, 64),
}


def bound(name: str) -> Problem:
    return PROBLEMS[name].bind(torch.float64, CPU)


def point(problem: Problem, lanes: int = 1) -> dict[str, torch.Tensor]:
    """The start of seed 0 in every lane."""
    start = problem.start(problem.generators(0)[0])
    return {
        k: torch.from_numpy(np.repeat(v[None], lanes, axis=0)).requires_grad_()
        for k, v in start.items()
    }


def blocks(problem: Problem, steps: int) -> np.ndarray:
    stream = problem.batches(problem.generators(1)[1])
    assert stream is not None
    drawn: list[np.ndarray] = []
    while sum(map(len, drawn)) < steps:
        drawn.append(next(stream))
    return np.concatenate(drawn)[:steps]


def gradients(
    problem: Problem, params: dict[str, torch.Tensor], loss: torch.Tensor
) -> dict[str, np.ndarray]:
    found = torch.autograd.grad(loss.sum(), list(params.values()))
    return {k: g.numpy() for k, g in zip(params, found, strict=True)}


def test_every_stochastic_problem_is_covered_here() -> None:
    stochastic = {p.name for p in CATALOGUE if not p.deterministic}
    assert stochastic == {*NOISY, *MINI_BATCHES, "heavy-tailed-quadratic"}


@pytest.mark.parametrize("name", NOISY)
def test_the_mean_of_many_noisy_gradients_is_the_objectives_gradient(name: str) -> None:
    """Each batch is a lane; the mean is within five of its own standard errors."""
    problem, count = bound(name), 40_000
    params = point(problem, count)
    batch = torch.from_numpy(blocks(problem, count))
    seen = gradients(problem, params, problem.loss(params, batch))["x"]
    one = point(problem)
    true = gradients(problem, one, problem.objective(one))["x"][0]
    error = seen.std(0, ddof=1) / np.sqrt(count)
    assert (error > 0).all(), "there is noise in every coordinate"
    assert (np.abs(seen.mean(0) - true) < 5 * error).all()
    # An estimate this sharp can tell: a bias of the gradient's own size would be seen.
    assert (np.abs(true) > 5 * error).any()


def test_the_heavy_tailed_noise_is_symmetric_about_the_objectives_gradient() -> None:
    """Its variance is infinite, so that a mean settles on nothing: the median does."""
    problem, count = bound("heavy-tailed-quadratic"), 10_000
    params = point(problem, count)
    batch = torch.from_numpy(blocks(problem, count))
    seen = gradients(problem, params, problem.loss(params, batch))["x"]
    one = point(problem)
    noise = seen - gradients(problem, one, problem.objective(one))["x"][0]
    above = (noise > 0).mean(0)
    assert (np.abs(above - 0.5) < 5 * 0.5 / np.sqrt(count)).all()
    # Student's t of 1.5 degrees: P(|t| > 10) = 0.0247 (normal noise: 1e-23).
    assert (np.abs(noise) > 10 * 0.1).mean() == pytest.approx(0.0247, rel=0.05)


@pytest.mark.parametrize(("name", "scale"), [("noisy-quadratic", 0.1), ("noisy-rosenbrock", 1.0)])
def test_normal_noise_has_its_scale(name: str, scale: float) -> None:
    assert blocks(bound(name), 10_000).std() == pytest.approx(scale, rel=0.02)


def test_the_counterexamples_draws_are_the_two_that_its_slope_is_made_of() -> None:
    """Rare draws leave a mean too blurred to tell; their values and their frequency are exact."""
    drawn, slope = blocks(bound("reddi"), 200_000), -PROBLEMS["reddi"].minimum
    assert {*np.unique(drawn)} == {-1.0, 2000.0}
    rare = (drawn == 2000.0).mean()
    assert abs(rare - 0.003) < 5 * np.sqrt(0.003 / 200_000)
    assert slope == pytest.approx(0.003 * 2000 - 0.997, rel=1e-12)


def test_multiplicative_noise_vanishes_at_the_minimum() -> None:
    problem = bound("multiplicative-quadratic")
    params = {"x": torch.zeros(50, 100, dtype=torch.float64, requires_grad=True)}
    batch = torch.from_numpy(blocks(problem, 50))
    assert not gradients(problem, params, problem.loss(params, batch))["x"].any()


@pytest.mark.parametrize("name", MINI_BATCHES)
def test_the_batches_of_an_epoch_add_up_to_its_examples(name: str) -> None:
    problem = bound(name)
    examples, size = MINI_BATCHES[name]
    stream = problem.batches(problem.generators(1)[1])
    assert stream is not None
    epoch, second = next(stream), next(stream)
    assert epoch.shape == (examples // size, size)
    assert len(np.unique(epoch)) == epoch.size, "no example twice in an epoch"
    assert epoch.min() >= 0
    assert epoch.max() < examples
    assert not np.array_equal(epoch, second), "another order in the next epoch"
    params = point(problem)
    few = epoch[:10]
    batches = [problem.loss(params, torch.from_numpy(batch[None])) for batch in few]
    together = problem.loss(params, torch.from_numpy(few.reshape(1, -1)))
    mean = gradients(problem, params, torch.cat(batches) / len(few))
    whole = gradients(problem, params, together)
    for key, value in whole.items():
        np.testing.assert_allclose(mean[key], value, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", ["sparse-logistic", "mnist-logistic"])
def test_a_batch_of_all_examples_is_the_objective(name: str) -> None:
    """With each example as often as the others in an epoch, that makes a batch unbiased."""
    problem = bound(name)
    params = point(problem)
    everything = torch.arange(MINI_BATCHES[name][0]).unsqueeze(0)
    loss, score = problem.loss(params, everything), problem.objective(params)
    assert loss.item() == pytest.approx(score.item(), rel=1e-12)
    ours, theirs = gradients(problem, params, loss), gradients(problem, params, score)
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", ["mnist-mlp", "mnist-autoencoder"])
def test_a_network_on_digits_is_scored_on_digits_that_it_does_not_train_on(name: str) -> None:
    problem = PROBLEMS[name]
    arrays = problem.arrays()
    train = {row.tobytes() for row in arrays["x"]}
    held = [row.tobytes() for row in arrays["held_x"]]
    assert not train & {*held}
    params = point(bound(name))
    held_rows = bound(name).tensors["held_x"]
    assert held_rows.shape == (problem.held_out, 784)  # type: ignore[attr-defined]
    objective = bound(name).objective(params)
    assert objective.requires_grad


def test_the_sparse_problem_has_sparse_gradients() -> None:
    problem = bound("sparse-logistic")
    params = point(problem, 81)
    gradient = gradients(
        problem, params, problem.loss(params, torch.from_numpy(blocks(problem, 81)))
    )
    assert (gradient["w"] != 0).mean() < 0.5


@pytest.mark.parametrize(("examples", "size"), [(10, 3), (9, 3), (5, 5), (4, 1)])
def test_an_epoch_leaves_out_the_rest_alone(examples: int, size: int) -> None:
    stream = index_batches(np.random.default_rng(0), examples, size)
    seen = np.zeros(examples, dtype=int)
    for _ in range(200):
        epoch = next(stream)
        assert epoch.shape == (examples // size, size)
        assert len(np.unique(epoch)) == epoch.size
        np.add.at(seen, epoch.ravel(), 1)
    assert (seen > 0.7 * 200 * (examples // size) * size / examples).all(), "each has its turn"


@pytest.mark.parametrize("name", [p.name for p in CATALOGUE])
def test_the_gradient_is_that_of_finite_differences(name: str) -> None:
    """Along a random direction, on the loss of one batch."""
    problem = bound(name)
    params = point(problem)
    batch = None if problem.deterministic else torch.from_numpy(blocks(problem, 1))
    gradient = gradients(problem, params, problem.loss(params, batch))
    rng = np.random.default_rng(5)
    direction = {k: rng.standard_normal(v.shape) for k, v in gradient.items()}
    slope = sum(float((gradient[k] * direction[k]).sum()) for k in gradient)

    def along(t: float) -> float:
        moved = {k: v.detach() + t * torch.from_numpy(direction[k]) for k, v in params.items()}
        return problem.loss(moved, batch).item()

    h = 1e-6
    assert (along(h) - along(-h)) / (2 * h) == pytest.approx(slope, rel=2e-5, abs=1e-7)
