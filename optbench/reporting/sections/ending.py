"""What a reader looks up: failures, problems, methods and caveats."""

from __future__ import annotations

from optbench.reporting import tables
from optbench.reporting.material import Material
from optbench.reporting.section import Part, Points, Section, Text

MOST = 40
"""Failures in the page; the data has all of them."""

CAVEATS = (
    "The unit of cost is the gradient evaluation; seconds stand apart. All optimizers meet the "
    "same starts and the same batches on a seed, and comparisons pair by seed.",
    "Intervals are over seeds, at 95 %, and not corrected for how many there are: of a hundred "
    "pairs of equal optimizers some five would be called different. They are about these problems; "
    "only the critical-difference diagram takes problems as its sample.",
    "Where five seeds or fewer are paired no exact 95 % interval exists, and the word is "
    "inconclusive.",
    "The area of attained targets (after COCO, Hansen et al. 2021) counts each problem once. Its "
    "axis is the share of the problem's own budget, where COCO has evaluations a dimension: a "
    "gradient gives all dimensions at once. Bands and intervals of areas are stratified "
    "bootstraps: seeds are resampled within each problem, 2,000 times, from fixed generators that "
    "all optimizers share.",
    "The tuned league depends on the settings that were tried; a wider or finer grid may change "
    "the order (Choi et al. 2019, Sivaprasad et al. 2020). The cost of the tuning is not charged "
    "there; the figure of tuning shows it.",
    "Ratios of steps, here and in the claims, count pairs in which at least one run arrives. An "
    "optimizer that solves only easy problems is compared on those: read ratios together with the "
    "areas, which count every miss.",
    "Wins, ranks, profiles, AlgoPerf's score and the best of k optimizers depend on who took part. "
    "Nothing else does: adding an optimizer changes no other's area, interval or claim.",
    "Seconds a step are those of one training step of one run alone, as a ratio within one machine "
    "(Python, torch and thread count included) and geometric mean over problems. On small problems "
    "they measure overhead, not arithmetic.",
    "Targets are relative to a run's own start. Where the minimum is only a lower bound, a gap is "
    "what it says: a loss.",
    "These problems are small. Nothing here says what happens on large models.",
)


def failures(material: Material) -> Section:
    """Every failed or unmoved run in the store, also those left out of the comparison."""
    runs = material.stored.runs
    failed = runs[runs["status"].isin(("failed", "unmoved"))]
    text = failed["error"].astype(object).where(failed["error"].notna(), "no text")
    columns = ["optimizer", "problem", "error"]
    counted = failed.assign(error=text.astype(str)).groupby(columns).size()
    frame = counted.rename("runs").reset_index()
    if frame.empty:
        return Section(
            "failures", "Failures", (Text("No run in the store failed, and all moved."),)
        )
    caption = "Runs that failed, or whose parameters never changed."
    parts: list[Part] = [tables.plain_table(frame.head(MOST), caption, "failures", frame)]
    if len(frame) > MOST:
        parts.append(Text(f"{len(frame) - MOST} more rows are in the data.", note=True))
    return Section("failures", "Failures", tuple(parts))


def problems(material: Material) -> Section:
    """List each problem."""
    columns = ["problem", "family", "data", "dimension", "target", "budget", "summary", "cite"]
    shown = material.results.problems[columns].rename(columns={"cite": "source"})
    table = tables.plain_table(shown, "Problems.", "problems", material.results.problems)
    return Section("problems", "Problems", (table,))


def methods(material: Material) -> Section:
    """How it was done, and what it does not show."""
    return Section("methods", "Methods and caveats", (Points(CAVEATS),), "Methods")
