"""SOAP, by its laws; the other rules of matrices are held to torch's in test_textbook.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optbench.optimizers import textbook
from optbench.optimizers.textbook import Array, Memory
from optbench.optimizers.textbook_matrix import soap

PLAIN = {"lr": 0.01, "weight_decay": 0.0}


def led(gradients: Any, start: Array, **settings: Any) -> tuple[Array, Memory]:
    x, s = start, Memory()
    for gradient in gradients:
        x = soap(x, gradient, s, **settings)
    return x, s


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def rotation(size: int, seed: int) -> Array:
    return np.linalg.qr(normal(size, size, seed=seed))[0]


@pytest.mark.parametrize(
    ("start", "settings"),
    [(normal(6), {}), (normal(4, 3), {"max_precond_dim": 2}), (np.float64(1.0), {})],
    ids=("a vector", "large dimensions", "a number"),
)
def test_without_a_basis_soap_is_adam_from_the_second_gradient_on(
    start: Array, settings: dict[str, Any]
) -> None:
    gradients = normal(20, *np.shape(start), seed=1)
    x, s = led(gradients, start, **PLAIN, **settings, eps=0.0)
    theirs, memory = start, Memory()
    for gradient in gradients[1:]:
        theirs = textbook.adam(theirs, gradient, memory, lr=0.01, betas=(0.95, 0.95), eps=0.0)
    assert x == pytest.approx(theirs, rel=1e-12)
    assert not [name for name in s if name.startswith(("L", "Q"))]


def test_the_first_gradient_moves_nothing_and_the_second_is_that_of_hand_and_pencil() -> None:
    """Of diagonal gradients the basis is the identity, but for the order."""
    first, second = np.diag([1.0, 2.0]), np.diag([3.0, -4.0])
    start = np.ones((2, 2))
    assert np.array_equal(led([first], start)[0], start)
    # m = 0.05 g and v = 0.05 g^2: the root of 0.05 over 0.05, corrected, is 1; eps is added before.
    settings = {"lr": 0.1, "weight_decay": 0.5, "eps": 0.5}
    root = np.sqrt(0.05)
    step = 0.1 * root * np.array([[3 / (3 * root + 0.5), 0], [0, -4 / (4 * root + 0.5)]])
    assert led([first, second], start, **settings)[0] == pytest.approx((start - step) * 0.95)
    raw = led([first, second], start, **settings, correct_bias=False)[0]
    assert raw == pytest.approx((start - 0.05 / root * step) * 0.95)
    upwards = led([first, second], start, **settings, maximize=True)[0]
    assert upwards == pytest.approx((start + step) * 0.95)


@pytest.mark.parametrize("settings", [{}, {"precondition_frequency": 1}, {"max_precond_dim": 4}])
def test_soap_goes_with_a_rotation_of_the_side_that_it_has_a_basis_of(
    settings: dict[str, Any],
) -> None:
    """Rows and columns of 4 x 4; or the rows of 4 x 9 alone, which Adam would not go with."""
    columns = 9 if settings.get("max_precond_dim") else 4
    start, gradients = normal(4, columns), normal(25, 4, columns, seed=1)
    u, v = rotation(4, 2), np.eye(9) if columns == 9 else rotation(4, 3)
    plain, _ = led(gradients, start, **PLAIN, **settings)
    turned, _ = led(u @ gradients @ v.T, u @ start @ v.T, **PLAIN, **settings)
    assert turned == pytest.approx(u @ plain @ v.T, rel=1e-8)
    assert np.max(abs(plain - start)) > 0.05


def test_a_basis_is_brought_nearer_to_the_eigenvectors_at_its_frequency() -> None:
    u = rotation(4, 2)
    gradients = [normal(4, 4), *[u @ np.diag([4.0, 3.0, 2.0, 1.0]) @ u.T] * 60]

    def off(taken: int, every: int) -> float:
        _, s = led(
            *(gradients[:taken], normal(4, 4, seed=1)),
            betas=(0.9, 0.9), shampoo_beta=0.1, precondition_frequency=every,
        )  # fmt: skip
        rotated = s.Q0.T @ s.L0 @ s.Q0
        assert pytest.approx(np.eye(4), abs=1e-12) == s.Q0.T @ s.Q0
        return float(np.max(abs(rotated - np.diag(np.diag(rotated)))))

    assert off(61, 1) < 1e-6
    # The 10th step after the first gradient is the first with another basis.
    assert off(10, 10) > 0.1
    assert off(11, 10) < off(10, 10)


def test_the_second_moments_are_taken_along_when_the_columns_change_places() -> None:
    """Bases are in falling order of their eigenvalues: here that order turns round."""
    first, then = np.diag([2.0, 1.0]), np.diag([1.0, 50.0])
    _, s = led([first, then], np.ones((2, 2)), precondition_frequency=1)
    assert np.diag(abs(s.Q0)) == pytest.approx([0, 0], abs=1e-12)
    assert np.diag(s.v) == pytest.approx([0.05 * 2500, 0.05])


def test_shampoo_has_a_beta_of_its_own_if_one_is_given() -> None:
    gradients = normal(2, 3, 3)
    for given, beta in ((0.5, 0.5), (None, 0.95), (-1.0, 0.95)):
        _, s = led(gradients, np.zeros((3, 3)), shampoo_beta=given)
        products = [g.T @ g for g in gradients]
        assert pytest.approx((1 - beta) * (beta * products[0] + products[1])) == s.L1
