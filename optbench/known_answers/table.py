"""Known answers: what theory says exactly, as rows.

A row measures the registered optimizer, or any other that claims to be the same method:
``row.measure(make)``. The rows stand by themselves: no reference implementation, no stored
number; each expectation is a formula that is evaluated here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from optbench.known_answers import quadratics, solutions, steps
from optbench.known_answers.answer import Answer, KnownAnswer

KINGMA = "Kingma and Ba 2015, Adam: A Method for Stochastic Optimization"
WILSON = "Wilson et al. 2017, The Marginal Value of Adaptive Gradient Methods"
REDDI = "Reddi et al. 2018, On the Convergence of Adam and Beyond, Theorem 3"
MUON_BAND = (
    "The singular values of an update, over {scale}, lie between the least and the largest value "
    "of five iterations of 3.4445 x - 4.7750 x^3 + 2.0315 x^5 over the normalized singular "
    "values of the gradient."
)
SIGNS = "Started at 0 on separable data with X sign(X^T y) = 4 y, it finds w = sign(X^T y) / 4, "
SIGNS += "which fits, and calls every fresh example positive."

# fmt: off
KNOWN_ANSWERS: tuple[KnownAnswer, ...] = (
    KnownAnswer(
        "sgd-on-a-quadratic",
        "Along an eigenvector of eigenvalue l, x_k = (1 - lr l)^k x_0; the departure is in |x_0|.",
        "Polyak 1987, Introduction to Optimization, section 1.4",
        "sgd", quadratics.gradient_descent),
    KnownAnswer(
        "sgd-divergence-threshold",
        "The steepest direction changes by |1 - lr L| a step: it shrinks for lr < 2/L and grows "
        "above.",
        "Polyak 1987, Introduction to Optimization, section 1.4",
        "sgd", quadratics.divergence_threshold),
    KnownAnswer(
        "heavy-ball-rate",
        "The error shrinks at the rate -ln(rho) a step, rho being the spectral radius of "
        "[[1 + momentum - lr l, -momentum], [1, 0]] (sqrt(momentum), where all modes oscillate).",
        "Polyak 1964, Some methods of speeding up the convergence of iteration methods",
        "momentum", quadratics.heavy_ball),
    KnownAnswer(
        "sgd-stationary-variance",
        "Under gradient noise of variance s^2, x settles to the variance lr s^2 / (l (2 - lr l)).",
        "Mandt et al. 2017, Stochastic Gradient Descent as Approximate Bayesian Inference "
        "(for small lr; exactly, as the stationary variance of an AR(1) process)",
        "sgd", quadratics.stationary_variance),
    KnownAnswer(
        "adam-first-step",
        "The first step is -lr g / (|g| + eps); the figure is step over formula.",
        f"{KINGMA}, Algorithm 1 at t = 1",
        "adam", steps.adam_first_step),
    KnownAnswer(
        "adam-step-bound",
        "In units of lr, the step t after zeros is (1 - b1) / sqrt(1 - b2) (times bias "
        "corrections that tend to 1), and no step exceeds "
        "(1 - b1) / sqrt((1 - b2) (1 - b1^2 / b2)) (alike), which growing gradients attain.",
        f"{KINGMA}, section 2.1, whose bound is the former; the latter by Cauchy and Schwarz",
        "adam", steps.adam_step_bound),
    KnownAnswer(
        "adam-scale-invariance",
        "With eps = 0, c times the gradient gives the same path, for every c > 0.",
        f"{KINGMA}, section 2.1",
        "adam", steps.adam_scale_invariance),
    KnownAnswer(
        "adam-shards",
        "Workers that step on the mean of the gradients of equal shards take the path of the joint "
        "batch, up to rounding (not bit for bit: the sums have another order).",
        f"{KINGMA}, Algorithm 1, a function of the gradient alone; the mean of equal means is the "
        "mean of all",
        "adam", steps.adam_shards),
    KnownAnswer(
        "adagrad-constant-gradient",
        "A constant gradient moves x by -lr sign(g) (1 + 1/sqrt(2) + ... + 1/sqrt(T)).",
        "Duchi et al. 2011, Adaptive Subgradient Methods, Figure 1 (diagonal)",
        "adagrad", steps.adagrad_constant_gradient),
    KnownAnswer(
        "lion-moves-lr",
        "Without decay every coordinate moves by exactly lr in every step.",
        "Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, Algorithm 2",
        "lion", steps.sign_moves),
    KnownAnswer(
        "signum-moves-lr",
        "Without decay every coordinate moves by exactly lr in every step.",
        "Bernstein et al. 2018, signSGD, Algorithm 2",
        "signum", steps.sign_moves),
    KnownAnswer(
        "muon-band-torch",
        MUON_BAND.format(scale="lr sqrt(max(1, rows / columns))"),
        "Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks",
        "torch.optim:Muon", steps.muon_original_scale),
    KnownAnswer(
        "muon-band",
        MUON_BAND.format(scale="0.2 lr sqrt(max(rows, columns))"),
        "Jordan et al. 2024, Muon; Liu et al. 2025, Muon is Scalable for LLM Training, eq. 4",
        "muon", steps.muon_adamw_scale),
    KnownAnswer(
        "adam-fails-on-reddi",
        "On C x now and then and -x else, with a minimum at -1, it ends at the other end, +1.",
        REDDI, "adam", solutions.reddi_wrong_end),
    KnownAnswer(
        "amsgrad-solves-reddi",
        "On C x now and then and -x else, it ends at the minimum, -1.",
        REDDI, "amsgrad", solutions.reddi_right_end),
    KnownAnswer(
        "sgd-minimum-norm",
        "Started at 0 on separable data, it stays in the span of the examples and finds the "
        "solution X^T (X X^T)^-1 y of least norm, which classifies fresh examples without error.",
        f"{WILSON}, section 3",
        "sgd", solutions.minimum_norm_solution),
    KnownAnswer(
        "adam-sign-solution", SIGNS, f"{WILSON}, Lemma 3.1 and the example after it",
        "adam", partial(solutions.sign_solution, lr=1e-3, steps=1000)),
    KnownAnswer(
        "rmsprop-sign-solution", SIGNS, f"{WILSON}, Lemma 3.1 and the example after it",
        "rmsprop", partial(solutions.sign_solution, lr=1e-3, steps=500)),
    KnownAnswer(
        "adagrad-sign-solution", SIGNS, f"{WILSON}, Lemma 3.1 and the example after it",
        "adagrad", partial(solutions.sign_solution, lr=0.05, steps=100)),
    KnownAnswer(
        "lbfgs-newton-on-a-line",
        "On a quadratic with one eigenvalue the second iteration is Newton's and ends at the "
        "minimum; the departure is in |x_0|.",
        "Nocedal and Wright 2006, Numerical Optimization, eq. 7.20 (the secant scaling)",
        "lbfgs", solutions.newton_on_a_line),
    KnownAnswer(
        "lbfgs-against-scipy",
        "It finds the minimum that SciPy's L-BFGS-B finds, with as many evaluations, give or take "
        "a fifth.",
        "Liu and Nocedal 1989; SciPy, scipy.optimize.minimize(method='L-BFGS-B')",
        "lbfgs", solutions.against_scipy),
)
# fmt: on


def known_answers(rows: Iterable[KnownAnswer] = KNOWN_ANSWERS) -> list[Answer]:
    """Measure the registered optimizer of every row; takes some ten seconds for all."""
    return [answer for row in rows for answer in row.measure()]


def statements(rows: Iterable[KnownAnswer] = KNOWN_ANSWERS) -> str:
    """Rows as the first Markdown table of ``docs/known-answers.md``: what theory says."""
    lines = ["| name | optimizer | statement | source |", "|---|---|---|---|"]
    for row in rows:
        lines.append(_line(row.name, f"`{row.optimizer}`", row.statement, row.cite))
    return "\n".join(lines) + "\n"


def table(answers: Iterable[Answer]) -> str:
    """Answers as the second Markdown table of ``docs/known-answers.md``: what is measured."""
    lines = [
        "| name | setting | expected | measured | tolerance | used |",
        "|---|---|---|---|---|---|",
    ]
    for a in answers:
        numbers = f"{a.expected:.7g}", f"{a.measured:.7g}", str(a.tolerance), f"{a.used:.2g}"
        lines.append(_line(a.name, a.setting, *numbers))
    return "\n".join(lines) + "\n"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
