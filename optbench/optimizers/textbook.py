"""Update rules as their papers print them: NumPy, float64, one function a rule.

These are the oracles: written from the papers, sharing no code with torch, short enough to be
read beside the source. A rule takes one parameter tensor and gives its next value::

    s = Memory()
    x = adam(x, g, s, lr=1e-3)

``x`` is the parameter, ``g`` the gradient, ``s`` what the rule remembers between its steps.
Neither array is written to. The keyword arguments have the names and defaults of the torch
class; those of implementation (``foreach``, ``fused``, ``capturable``, ``differentiable``) are
left out.

Where torch departs from the paper a rule has two branches, and ``convention`` says which:
``"torch"`` (the default) or ``"paper"``. What a paper does not have at all (``weight_decay``,
``maximize``, ``eps`` in most) is the same in both and does nothing at 0.

Here stand the rules that treat every element by itself; `optbench.optimizers.textbook_matrix`
has those that look at a whole matrix, `optbench.optimizers.textbook_swarm` the swarm.
"""

# What a memory holds is an array or a number, as in the papers: its type is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CONVENTIONS = ("torch", "paper")


class Memory(dict[str, Any]):
    """A rule's memory: ``s.m`` for ``s["m"]``, where what was never written reads as 0.

    >>> s = Memory()
    >>> s.t += 1
    >>> s
    {'t': 1.0}
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy and pickle ask for hooks that a dict lacks
            raise AttributeError(name)
        return self.get(name, 0.0)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def follows_paper(convention: str, other: str = "torch") -> bool:
    """Whether the convention is the paper's; a word that is none of both is a ValueError."""
    if convention not in (other, "paper"):
        raise ValueError(f"convention must be {other!r} or 'paper', not {convention!r}")
    return convention == "paper"


def sgd(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    r"""Stochastic gradient descent, with the heavy ball or with Nesterov's momentum.

    Robbins and Monro 1951; Polyak 1964, eq. 9; Sutskever et al. 2013, *On the importance of
    initialization and momentum*, eq. 1-2 (heavy ball: v = mu v - a g, x = x + v) and eq. 3-4
    (Nesterov). Nesterov's gradient is taken at the look-ahead point x + mu v. A rule sees
    one point only, so x is that point here, as in Bengio et al. 2013, *Advances in Optimizing
    Recurrent Networks*, eq. 7.

    torch departs: the rate stands outside the buffer (the same until the rate changes); the
    first buffer is g, untouched by ``dampening`` (which no paper has).
    """
    mu = momentum
    g = (-g if maximize else g) + weight_decay * x
    s.t += 1
    if mu == 0:
        return x - lr * g
    if follows_paper(convention):
        s.v = mu * s.v - lr * (1 - dampening) * g
        return x + mu * s.v - lr * g if nesterov else x + s.v
    s.b = g if s.t == 1 else mu * s.b + (1 - dampening) * g
    return x - lr * (g + mu * s.b) if nesterov else x - lr * s.b


def adam(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Adam: steps of a size that the gradient's scale does not change.

    Kingma and Ba 2015, *Adam: A Method for Stochastic Optimization*, Algorithm 1; with
    ``amsgrad`` Reddi et al. 2018, *On the Convergence of Adam and Beyond*, Algorithm 2.

    torch departs, in AMSGrad alone: the paper's has no bias correction; torch takes the
    maximum of the uncorrected v and corrects it (and m) afterwards.
    """
    b1, b2 = betas
    g = -g if maximize else g
    if decoupled_weight_decay:
        x = x * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * x
    s.t += 1
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    m_hat = s.m / (1 - b1**s.t)
    v_hat = s.v / (1 - b2**s.t)
    if amsgrad:
        s.v_max = np.maximum(s.v_max, s.v)
        if follows_paper(convention):
            m_hat, v_hat = s.m, s.v_max
        else:
            v_hat = s.v_max / (1 - b2**s.t)
    return x - lr * m_hat / (np.sqrt(v_hat) + eps)


def adamw(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Adam whose weight decay never enters the moments.

    Loshchilov and Hutter 2019, *Decoupled Weight Decay Regularization*, Algorithm 2, line 12,
    with the schedule multiplier eta = 1.

    torch departs: the paper decays by lambda x, whatever the rate; torch by lr lambda x (its
    ``weight_decay`` is lambda / lr). And torch decays before the step where the paper does
    both at once, which changes the rounding alone: the step does not look at x.
    """
    settings: dict[str, Any] = {
        "lr": lr,
        "betas": betas,
        "eps": eps,
        "amsgrad": amsgrad,
        "maximize": maximize,
        "convention": convention,
    }
    if follows_paper(convention):
        return adam(x, g, s, **settings) - weight_decay * x
    return adam((1 - lr * weight_decay) * x, g, s, **settings)


def nadam(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Adam with Nesterov's momentum in the place of the heavy ball.

    Dozat 2016, *Incorporating Nesterov Momentum into Adam*, Algorithm 8, with its schedule
    mu_t = mu (1 - 0.5 * 0.96^(t / 250)); ``momentum_decay`` is the 1/250.

    torch departs: m averages with the constant beta_1 where the paper has mu_t. And torch
    keeps the product of the mu_t in float32 (unless the default dtype is float64); here it
    is float64 in both conventions, so 1e-10 is as near as the two come.
    """
    b1, b2 = betas
    g = -g if maximize else g
    if decoupled_weight_decay:
        x = x * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * x
    s.t += 1
    mu = b1 * (1 - 0.5 * 0.96 ** (s.t * momentum_decay))
    mu_next = b1 * (1 - 0.5 * 0.96 ** ((s.t + 1) * momentum_decay))
    s.mu_product = mu if s.t == 1 else mu * s.mu_product
    if follows_paper(convention):
        s.m = mu * s.m + (1 - mu) * g
    else:
        s.m = b1 * s.m + (1 - b1) * g
    s.n = b2 * s.n + (1 - b2) * g**2
    g_hat = g / (1 - s.mu_product)
    m_hat = s.m / (1 - s.mu_product * mu_next)
    n_hat = s.n / (1 - b2**s.t)
    m_bar = (1 - mu) * g_hat + mu_next * m_hat
    return x - lr * m_bar / (np.sqrt(n_hat) + eps)


def radam(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Adam that waits with its division until enough gradients were seen to divide by.

    Liu et al. 2020, *On the Variance of the Adaptive Learning Rate and Beyond*, Algorithm 2.

    torch departs: it divides from rho_t > 5 on where the paper does from rho_t > 4 (with
    beta_2 = 0.999 that is step 6 for step 5), and has an eps, added to the uncorrected root.
    """
    b1, b2 = betas
    g = -g if maximize else g
    if decoupled_weight_decay:
        x = x * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * x
    s.t += 1
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    m_hat = s.m / (1 - b1**s.t)
    rho_inf = 2 / (1 - b2) - 1
    rho = rho_inf - 2 * s.t * b2**s.t / (1 - b2**s.t)
    if follows_paper(convention):
        threshold, eps = 4.0, 0.0
    else:
        threshold = 5.0
    if rho <= threshold:
        return x - lr * m_hat
    r = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    adaptive = math.sqrt(1 - b2**s.t) / (np.sqrt(s.v) + eps)
    return x - lr * r * m_hat * adaptive


def adamax(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Adam with the infinity norm: the denominator is a maximum that fades.

    Kingma and Ba 2015, *Adam: A Method for Stochastic Optimization*, Algorithm 2.

    torch departs: it adds eps to the gradient's magnitude; the paper has none, and divides
    zero by zero where no gradient has come yet.
    """
    b1, b2 = betas
    g = (-g if maximize else g) + weight_decay * x
    s.t += 1
    s.m = b1 * s.m + (1 - b1) * g
    if follows_paper(convention):
        s.u = np.maximum(b2 * s.u, abs(g))
    else:
        s.u = np.maximum(b2 * s.u, abs(g) + eps)
    return x - lr / (1 - b1**s.t) * s.m / s.u


def adagrad(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> Array:
    """Every element's rate falls with the root of the squares that it has seen.

    Duchi et al. 2011, *Adaptive Subgradient Methods*, Figure 1 (diagonal): H = delta I +
    diag(s) with s the root of the sum of squares, so ``eps``, their delta, stands outside the
    root there as it does in torch. ``lr_decay`` and ``initial_accumulator_value`` are
    additions that do nothing at 0: there is one convention.
    """
    g = (-g if maximize else g) + weight_decay * x
    s.t += 1
    if s.t == 1:
        s.sum = initial_accumulator_value
    s.sum = s.sum + g**2
    return x - lr / (1 + (s.t - 1) * lr_decay) * g / (eps + np.sqrt(s.sum))


def rmsprop(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Compute the gradient over the root of its running mean square or, centered, of its variance.

    Tieleman and Hinton 2012, *Lecture 6.5*, slide 29 (no eps); ``centered`` and ``momentum``:
    Graves 2013, *Generating Sequences With Recurrent Neural Networks*, eq. 38-45.

    torch departs: eps stands outside the root, where Graves has it inside, so under torch's
    root nothing keeps n - m^2 from rounding to a negative number; and the rate stands outside
    the momentum's buffer (the same until the rate changes).
    """
    g = (-g if maximize else g) + weight_decay * x
    s.n = alpha * s.n + (1 - alpha) * g**2
    if centered:
        s.m = alpha * s.m + (1 - alpha) * g
    variance = s.n - s.m**2
    if follows_paper(convention):
        root = np.sqrt(variance + eps) if centered else np.sqrt(s.n)
        s.dx = momentum * s.dx - lr * g / root
        return x + s.dx
    s.b = momentum * s.b + g / (np.sqrt(variance) + eps)
    return x - lr * s.b


def adadelta(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> Array:
    """Compute the step's size is that of the steps before it: units agree, no rate is needed.

    Zeiler 2012, *ADADELTA: An Adaptive Learning Rate Method*, Algorithm 1, to which torch adds
    a rate; at its default, 1, it is the paper's. There is one convention.
    """
    g = (-g if maximize else g) + weight_decay * x
    s.Eg2 = rho * s.Eg2 + (1 - rho) * g**2
    dx = -np.sqrt(s.Edx2 + eps) / np.sqrt(s.Eg2 + eps) * g
    s.Edx2 = rho * s.Edx2 + (1 - rho) * dx**2
    return x + lr * dx


def rprop(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50),
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Compute steps by the sign alone, whose size grows while the sign stays; lr is the first.

    Riedmiller and Braun 1993, *A Direct Adaptive Method for Faster Backpropagation Learning*,
    eq. 4-7.

    torch departs: where a sign flips the paper takes the last step back; torch stands still
    there (Igel and Huesken 2000, *Improving the Rprop Learning Algorithm*: iRprop-). And torch
    clips every size into ``step_sizes``, the paper those that it changes.
    """
    eta_minus, eta_plus = etas
    g = -g if maximize else g
    s.t += 1
    delta = s.delta if s.t > 1 else np.full_like(x, lr)
    agreement = np.sign(g * s.g)
    eta = np.where(agreement > 0, eta_plus, np.where(agreement < 0, eta_minus, 1.0))
    adapted = np.clip(eta * delta, *step_sizes)
    s.g = np.where(agreement < 0, 0.0, g)
    if follows_paper(convention):
        s.delta = np.where(agreement == 0, delta, adapted)
        s.dx = np.where(agreement < 0, -s.dx, -np.sign(g) * s.delta)
    else:
        s.delta = adapted
        s.dx = -np.sign(s.g) * s.delta
    return x + s.dx


def asgd(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Gradient descent with a falling rate, and the average of its points in ``s.ax``.

    Polyak and Juditsky 1992, *Acceleration of Stochastic Approximation by Averaging*, eq. 5;
    the rate is Bottou 2012, *Stochastic Gradient Descent Tricks*, section 5.1: a_t = a /
    (1 + lambda a t)^0.75, t counted from 0. The average is over the points after ``t0``.

    torch departs: rate and weight are computed a step ahead, so a changed rate takes effect a
    step late, and the average begins at the second point after ``t0``. And torch keeps both
    in float32 (unless the default dtype is float64); here they are float64 in both
    conventions, so 1e-8 of the distance travelled is as near as the two come.
    """
    g = (-g if maximize else g) + weight_decay * x
    s.t += 1
    if follows_paper(convention):
        a = lr / (1 + lambd * lr * (s.t - 1)) ** alpha
        mu = 1 / max(1, s.t - t0)
    else:
        a = lr if s.t == 1 else s.a_next
        mu = 1 / max(1, s.t - 1 - t0)
        s.a_next = lr / (1 + lambd * lr * s.t) ** alpha
    x = (1 - lambd * a) * x - a * g
    s.ax = s.ax + mu * (x - s.ax)
    return x


def sparseadam(
    x: Array,
    g: Array,
    s: Memory,
    touched: npt.NDArray[np.bool_] | None = None,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    maximize: bool = False,
    convention: str = "torch",
) -> Array:
    """Adam on the elements that have a gradient; the others, and their moments, rest.

    Kingma and Ba 2015, *Adam: A Method for Stochastic Optimization*, Algorithm 1, where
    ``touched`` (by default everywhere). The step count is the tensor's: an element that rested
    has its bias corrected as if it had not.

    torch departs: it has the form of the paper's section 2 ("the order of computation"), in
    which eps is added to the uncorrected root; at step 1 that is an eps 32 times as large.
    Its dense Adam follows Algorithm 1.
    """
    b1, b2 = betas
    g = -g if maximize else g
    touched = np.ones(x.shape, dtype=bool) if touched is None else touched
    s.t += 1
    s.m = np.where(touched, b1 * s.m + (1 - b1) * g, s.m)
    s.v = np.where(touched, b2 * s.v + (1 - b2) * g**2, s.v)
    if follows_paper(convention):
        step = lr * (s.m / (1 - b1**s.t)) / (np.sqrt(s.v / (1 - b2**s.t)) + eps)
    else:
        step = lr * math.sqrt(1 - b2**s.t) / (1 - b1**s.t) * s.m / (np.sqrt(s.v) + eps)
    return np.where(touched, x - step, x)


def lion(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-4,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> Array:
    """Compute steps by the sign of an interpolated momentum.

    Chen et al. 2023, *Symbolic Discovery of Optimization Algorithms*, Algorithm 2. Not in torch.
    """
    b1, b2 = betas
    g = -g if maximize else g
    c = b1 * s.m + (1 - b1) * g
    s.m = b2 * s.m + (1 - b2) * g
    return x - lr * (np.sign(c) + weight_decay * x)


def signum(
    x: Array,
    g: Array,
    s: Memory,
    *,
    lr: float = 1e-4,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> Array:
    """Compute steps by the sign of the momentum.

    Bernstein et al. 2018, *signSGD: Compressed Optimisation for Non-Convex Problems*,
    Algorithm 2. Not in torch.
    """
    beta = momentum
    g = -g if maximize else g
    s.m = beta * s.m + (1 - beta) * g
    return x - lr * (np.sign(s.m) + weight_decay * x)
