"""Claims about what a method is, or where it ends: exact statements, and runs that end there."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binom

from optbench.analysis.claims.claim import Evidence, Finding, Undecided, Verdict
from optbench.analysis.claims.needed import needed, undecided
from optbench.analysis.claims.ratios import ALPHA
from optbench.analysis.results import FINISHED
from optbench.analysis.traced import points

ADAPTIVE = ("adam", "rmsprop", "adagrad")
WILSON = "wilson"
REDDI = "reddi"
SHARDS, FIRST_STEP = "adam-shards", "adam-first-step"

ANSWERS = (SHARDS, FIRST_STEP)
"""The known answers that claims refer to: who evaluates them has these measured."""


def _answer(evidence: Evidence, name: str) -> pd.DataFrame:
    """Return the measurements of a known answer."""
    answers = evidence.answers
    found = answers[answers["name"] == name] if len(answers) else answers
    if found.empty:
        raise Undecided(f"The known answer {name} was not measured (see docs/known-answers.md).")
    return found


def shards_agree(evidence: Evidence) -> Finding:
    """Judge the claim that Adam can be run in parallel with the same result.

    Not a question of chance: the known answer ``adam-shards`` measures it. Supported: all its
    measurements hold. Refuted: one does not.
    """
    rows = _answer(evidence, SHARDS)
    right = bool(rows["holds"].all())
    apart = f"farthest apart: {float(rows['measured'].abs().max()):.1g}"
    text = (
        "Adam on the mean of the gradients of equal shards takes the path of the joint batch, up "
        f"to rounding ({apart})."
        if right
        else f"Adam on the mean of the shards' gradients leaves the path of the joint batch "
        f"({apart})."
    )
    text += " In bits it differs: a sum in another order rounds otherwise."
    return Finding(Verdict.SUPPORTED if right else Verdict.REFUTED, text, detail=rows)


def begins_with_sgd(evidence: Evidence) -> Finding:
    """Judge the claim that Adam begins with SGD.

    SGD's first step is in proportion to the gradient; Adam's is lr sign(g) for every gradient
    well above eps. The known answer ``adam-first-step`` measures which. Refuted: it holds.
    Supported: no row for that; where it does not hold, something else is wrong.
    """
    rows = _answer(evidence, FIRST_STEP)
    if not bool(rows["holds"].all()):
        return Finding(
            Verdict.INCONCLUSIVE,
            "Adam's first step was not what its paper says, which says nothing of SGD.",
            detail=rows,
        )
    apart = float((rows["measured"] / rows["expected"] - 1).abs().max())
    return Finding(
        Verdict.REFUTED,
        f"Adam's first step is -lr g / (|g| + eps), measured to {apart:.0e} of itself for "
        "gradients of 1e-12 to 1e6: as long for a gradient of 1 as of 1,000, where a step of SGD "
        "is a thousand times longer. Its moments begin at 0, and nothing in it runs SGD first.",
        detail=rows,
    )


def adaptive_choose_worse(evidence: Evidence) -> Finding:
    """Judge the claim that adaptive methods choose worse solutions of separable data than SGD does.

    The error rate on fresh examples at the end of the tuned runs that fit the training data, on
    the separable data of the paper. Start and batches have nothing random in them, so that there
    is no interval: it is so, or it is not. Supported: each adaptive method's error is larger than
    SGD's, at every choice of lr. Refuted: none's is.
    """
    runs = needed(evidence.tuned.runs, ("sgd", *ADAPTIVE), (WILSON,), each=True)
    found = points(runs, evidence.results.traces, ["error_rate"])
    run = runs["run"].to_numpy()[found.row]
    rates = pd.DataFrame({"run": run, "step": found.step, "error_rate": found.value})
    last = rates.sort_values(["run", "step"]).groupby("run")["error_rate"].last()
    ended = runs.join(last, on="run")
    fitted = ended[ended["steps_to_target"].notna() & ended["status"].isin(FINISHED)]
    lacking = [o for o in ("sgd", *ADAPTIVE) if not (fitted["optimizer"] == o).any()]
    if lacking or fitted["error_rate"].isna().any():
        raise undecided(lacking or ("sgd", *ADAPTIVE), (WILSON,))
    table = (
        fitted.groupby("optimizer")["error_rate"]
        .agg(error_rate="median", least="min", largest="max", runs="size")
        .loc[["sgd", *ADAPTIVE]]
        .reset_index()
    )
    sgd = table.iloc[0]
    others = table.iloc[1:]
    verdict = Verdict.of(
        (others["least"] > sgd["largest"]).all(), (others["largest"] <= sgd["least"]).all()
    )
    rates_told = ", ".join(f"{row.error_rate:.1%} {row.optimizer}" for row in table.itertuples())
    return Finding(
        verdict,
        f"All fit the 24 training examples; of fresh ones they call wrong: {rates_told}. The data "
        "are made for this, and nothing in the runs is random; how common such data are they "
        "cannot say.",
        effect=float(others["error_rate"].median() - sgd["error_rate"]),
        unit="error rate on fresh examples, adaptive methods less sgd",
        detail=table,
        runs=len(runs),
    )


def amsgrad_repairs(evidence: Evidence) -> Finding:
    """Judge the claim that AMSGrad repairs what Adam gets wrong on Reddi's problem.

    At the rates that the problem states (the default league), by seed: who ends at the minimum,
    with a gap of at most a tenth of the initial one. Supported: AMSGrad does and Adam does not on
    more seeds than the other way round, by the exact sign test at 5 %, two-sided, and AMSGrad does
    on most. Refuted: Adam has nothing to repair, or AMSGrad repairs it on few: the exact 95 %
    interval of the share of repaired runs lies below a half.
    """
    runs = needed(evidence.default.runs, ("adam", "amsgrad"), (REDDI,), each=True)
    ends = runs["status"].isin(FINISHED) & (runs["final_gap"] <= 0.1 * runs["initial_gap"])
    wide = runs.assign(ends=ends).pivot_table(index="seed", columns="optimizer", values="ends")
    wide = wide.dropna().astype(bool)
    if wide.empty:
        raise undecided(("adam", "amsgrad"), (REDDI,))
    wrong = ~wide["adam"]
    repaired = int((wrong & wide["amsgrad"]).sum())
    spoiled = int((wide["adam"] & ~wide["amsgrad"]).sum())
    discordant = repaired + spoiled
    # Two-sided: twice the tail of a fair coin.
    p = min(1.0, 2 * float(binom.sf(repaired - 1, discordant, 0.5))) if discordant else 1.0
    # At most half of all seeds are repaired: how likely are so few, were half of them?
    few = float(binom.cdf(repaired, len(wide), 0.5))
    verdict = Verdict.of(
        p <= ALPHA and wide["amsgrad"].mean() > 0.5 and repaired > spoiled, few <= ALPHA / 2
    )
    return Finding(
        verdict,
        f"At the rates that the problem states, Adam ends at the minimum on "
        f"{int(wide['adam'].sum())} of {len(wide)} seeds and AMSGrad on "
        f"{int(wide['amsgrad'].sum())}; sign test over the {discordant} seeds on which they "
        f"differ: p = {p:.2g}.",
        effect=float(np.mean(wrong & wide["amsgrad"])),
        unit="share of seeds that Adam gets wrong and AMSGrad right",
        detail=pd.DataFrame(wide).reset_index(),
        runs=len(runs),
    )
