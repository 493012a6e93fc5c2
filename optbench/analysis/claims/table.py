"""The claims, as rows. What decides each was written down first; docs/claims.md says what was
changed after the first look at the data."""

from __future__ import annotations

from optbench.analysis.claims import general, growth, places, schedules, solutions, spread, trying
from optbench.analysis.claims.claim import Claim, Evidence, Finding

TUTORIAL = "A widely read tutorial on the Adam optimizer"

EVERYWHERE = "Tuned runs of {} on the 26 problems that no method was made for."

TRAINING = (
    "Tuned runs of {} on the eight problems that fit a model to data; on eighteen others, which "
    "stand beside them."
)

IN_TRAINING = (
    "Over the problems that fit a model to data, the median of each one's median ratio of gradient "
    "evaluations to the target, {pair}, with the exact 95 % interval of the sign test over "
    "problems. {for_it} supports it; {against_it} refutes it."
)
BELOW = "An interval below one with a median beyond 5 %"
ABOVE = "An interval above one with a median beyond 5 %"
NOT_BELOW = "one above one with a median beyond 5 %, or within 5 % of one,"
NOT_ABOVE = "one below one with a median beyond 5 %, or within 5 % of one,"


def _fewer(pair: str) -> str:
    return IN_TRAINING.format(pair=pair, for_it=BELOW, against_it=NOT_BELOW)


def _more(pair: str) -> str:
    return IN_TRAINING.format(pair=pair, for_it=ABOVE, against_it=NOT_ABOVE)


# fmt: off
CLAIMS: tuple[Claim, ...] = (
    Claim(
        "adam-faster-than-sgd",
        "Adam trains faster than SGD.",
        TUTORIAL, "folklore",
        TRAINING.format("adam and sgd"),
        _fewer("adam / sgd"),
        general.faster("adam", "sgd")),
    Claim(
        "adam-gains-with-size",
        "Adam's advantage over SGD is larger for larger models.",
        TUTORIAL, "folklore",
        "Tuned runs of adam and sgd on mnist-mlp-8, mnist-mlp-32 and mnist-mlp.",
        "The factor by which the ratio of steps, adam / sgd, changes in a model of ten times the "
        "size (median of the slopes over all pairs of runs of different sizes), with the exact "
        "95 % interval of the test for trend. An interval below one with a factor beyond 5 % "
        "supports it; one above one, or within 5 % of it, refutes it.",
        growth.advantage_grows),
    Claim(
        "nadam-improves-on-adam",
        "Nadam improves on Adam.",
        TUTORIAL, "folklore",
        TRAINING.format("nadam and adam"),
        _fewer("nadam / adam"),
        general.faster("nadam", "adam")),
    Claim(
        "rmsprop-behind-adam",
        "RMSprop falls behind Adam.",
        TUTORIAL, "folklore",
        TRAINING.format("rmsprop and adam"),
        _more("rmsprop / adam"),
        general.slower("rmsprop", "adam")),
    Claim(
        "adagrad-behind-adam",
        "Adagrad falls behind Adam.",
        TUTORIAL, "folklore",
        TRAINING.format("adagrad and adam"),
        _more("adagrad / adam"),
        general.slower("adagrad", "adam")),
    Claim(
        "small-lr-less-random",
        "A small initial learning rate, 0.01 or 0.001, makes results less random.",
        TUTORIAL, "folklore",
        "Runs of adam and sgd at lr 0.001 and 0.01, and at 0.1 and more, on four networks and four "
        "noisy problems.",
        "The spread over seeds of the logarithm of the final gap at the small rates by that at the "
        "large ones, a diverged run being the worst: the median over problems, with the exact 95 % "
        "interval of the sign test. An interval below one with a median beyond 5 % supports it; "
        "one above one, or within 5 % of it, refutes it.",
        spread.small_rates_reduce_randomness),
    Claim(
        "schedules-cure-gradients",
        "Adjusting the learning rate on the way cures exploding and vanishing gradients.",
        TUTORIAL, "folklore",
        "Tuned runs of adam and sgd on cliff and deep-tanh, at constant rates and with the "
        "schedules step, cosine and warmup.",
        "Of the runs that a cliff throws off at a constant rate, the share that a schedule keeps "
        "at the same rate and seed, but for rates at which nothing survives either way; of those "
        "that miss the target of a deep network at the best constant rate, the share that the "
        "best schedule and rate bring there. The median over seeds with its exact 95 % interval: "
        "both above a half support it, either one below a half (5 % over both) refutes it.",
        schedules.schedules_cure),
    Claim(
        "depth-cures-gradients",
        "Deeper networks cure exploding and vanishing gradients.",
        TUTORIAL, "folklore",
        "Tuned runs of adam and sgd on deep-tanh (ten hidden layers) and shallow-tanh (one).",
        "Steps to the target with ten hidden layers by those with one, a miss being infinite: the "
        "median and its exact 95 % interval. Fewer for both optimizers supports it; more, or "
        "within 5 % as many, for both refutes it.",
        places.depth_cures),
    Claim(
        "adam-handles-noise",
        "Adam handles noisy and sparse gradients better than SGD.",
        TUTORIAL + "; Kingma and Ba 2015", "folklore",
        "Tuned runs of adam and sgd on the four noisy problems, the same two functions without "
        "noise, and sparse-logistic.",
        "Steps of adam by those of sgd on the five problems, 5 % over all of them (Bonferroni), "
        "and the factor by which noise changes the ratio. Faster on most and slower on none "
        "supports it, if noise does not take from the advantage; slower or equal on most and "
        "faster on none refutes it, if noise does not add to it.",
        places.adam_handles_noise),
    Claim(
        "adam-parallel",
        "Adam can be run in parallel without a change of its result.",
        TUTORIAL, "folklore",
        "The known answer adam-shards.",
        "Whether the path under the mean of the shards' gradients is that of the joint batch, up "
        "to rounding in float64. That it is supports it; that it is not refutes it.",
        solutions.shards_agree),
    Claim(
        "swarm-trains-better",
        "A hybrid of Adam and a particle swarm trains more effectively than Adam.",
        TUTORIAL, "folklore",
        TRAINING.format("adam-swarm and adam")
        + " Every particle's gradient is charged; both choose among the same rates.",
        _fewer("adam-swarm / adam"),
        general.faster("adam-swarm", "adam", same_rates=True)),
    Claim(
        "adam-begins-with-sgd",
        "Adam initialises itself with SGD.",
        TUTORIAL, "folklore",
        "The known answer adam-first-step.",
        "Whether the first step is in proportion to the gradient, as SGD's is, or lr times its "
        "sign, as the algorithm has it. The latter refutes it.",
        solutions.begins_with_sgd),
    Claim(
        "adam-never-worse-than-momentum",
        "Well tuned, Adam is never worse than momentum.",
        "Choi et al. 2019, On Empirical Comparisons of Optimizers for Deep Learning", "literature",
        EVERYWHERE.format("adam and momentum")
        + " To refute it, of Adam with eps tuned too, as its authors do.",
        "On every problem the ratio of steps, adam / momentum, one-sided. A bound of at most 1.05 "
        "on all of them supports it; an interval above one with a median beyond 5 % on any, 5 % "
        "over all (Bonferroni), refutes it, where eps was tuned.",
        general.never_worse("adam", "momentum", "eps")),
    Claim(
        "trying-equals-tuning",
        "Trying several optimizers at their defaults does about as well as tuning one.",
        "Schmidt et al. 2021, Descending through a Crowded Valley", "literature",
        "Default runs of eleven optimizers, and tuned ones of adam, on the 26 problems that no "
        "method was made for.",
        "The score of the best of k defaults less that of the best of k learning rates of Adam, "
        "chosen on other seeds than those scored: the median over problems with its exact 95 % "
        "interval. An interval above -0.05 supports it; one below zero with a median below -0.05 "
        "refutes it.",
        trying.trying_is_tuning),
    Claim(
        "adaptive-choose-worse",
        "Adaptive methods choose worse solutions of separable data.",
        "Wilson et al. 2017, The Marginal Value of Adaptive Gradient Methods", "literature",
        "Tuned runs of sgd, adam, rmsprop and adagrad on wilson.",
        "The error on fresh examples of the runs that fit the training data. Larger for each of "
        "the three than for sgd supports it; larger for none refutes it. Nothing in it is random.",
        solutions.adaptive_choose_worse),
    Claim(
        "amsgrad-repairs-adam",
        "AMSGrad repairs Adam where Adam goes the wrong way.",
        "Reddi et al. 2018, On the Convergence of Adam and Beyond", "literature",
        "Default runs of adam and amsgrad on reddi.",
        "Who ends at the minimum, by seed, at the rates that the problem states. More seeds on "
        "which AMSGrad alone does (exact sign test, 5 %), and most of all seeds, support it; a "
        "share of repaired seeds below a half (exact, 5 %) refutes it.",
        solutions.amsgrad_repairs),
    Claim(
        "amsgrad-hardly-matters",
        "Elsewhere AMSGrad hardly differs from Adam.",
        "Follow-up experiments; Reddi et al. 2018 report small gains", "literature",
        EVERYWHERE.format("amsgrad and adam"),
        "The median over problems of the ratio of steps, amsgrad / adam, with its exact 95 % "
        "interval, and how many problems differ decisively (5 % over all, Bonferroni). An interval "
        "within 5 % of one with fewer than a quarter that differ supports it; an interval that "
        "leaves out one with a median beyond 5 %, or half that differ, refutes it.",
        general.hardly_matters("amsgrad", "adam")),
    Claim(
        "signs-win-heavy-tails",
        "Sign-like methods win under heavy-tailed noise.",
        "Zhang et al. 2020, Why are Adaptive Methods Good for Attention Models?; Kunstner et al. "
        "2023, Noise Is Not the Main Factor", "literature",
        "Tuned runs of lion, signum, sgd and momentum on heavy-tailed-quadratic and "
        "noisy-quadratic.",
        "Steps to the target of either sign-like method by those of SGD and of momentum. All four "
        "faster support it; each of the two slower than or equal to one of the others, 5 % over "
        "all four (Bonferroni), refutes it.",
        places.signs_win),
    Claim(
        "rotation-hurts-adam",
        "Turning the coordinates makes Adam slower.",
        "Reparametrisation tests, as Hansen et al. 2011, Impacts of Invariance in Search",
        "literature",
        "Tuned runs of adam on quadratic-ill and quadratic-ill-rotated; of sgd as a control.",
        "Steps to the target with the axes turned by those along them, with the exact 95 % "
        "interval of the median. Above one with a median beyond 5 % supports it; below one, or "
        "within 5 %, refutes it.",
        places.rotation_hurts),
)
# fmt: on


def judged(evidence: Evidence) -> list[tuple[Claim, Finding]]:
    """Every claim with what the runs say of it."""
    return [(claim, claim.judge(evidence)) for claim in CLAIMS]
