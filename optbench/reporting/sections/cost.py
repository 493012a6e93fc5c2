"""What a step costs, by size, beside what the memory's bandwidth allows."""

from __future__ import annotations

from optbench.reporting import numerals
from optbench.reporting.figure_cost import cost as draw
from optbench.reporting.material import Material
from optbench.reporting.section import Code, Plot, Section, Text


def cost(material: Material) -> Section | None:
    """Measured by asv; without it the section says how."""
    costs = material.inputs.costs
    if costs is None or costs.steps.empty:
        return Section(
            "cost",
            "Cost of a step",
            (
                Text(
                    "Steps by size are timed by asv, in processes of their own, and were not "
                    "measured here. The ranking has seconds a step as a ratio, over these "
                    "problems. To measure them, and have them drawn here:"
                ),
                Code("make asv && optbench report --asv .asv/results"),
            ),
        )
    looks = material.looks
    plot = Plot(
        "cost-by-size",
        "Seconds a step by number of parameters",
        "One line an implementation, on one thread; a name in brackets is torch's argument of that "
        "name, a plain name its loop over tensors. Flat at the left, where a step is overhead of "
        "Python and dispatch, it rises in proportion at the right, where memory is read and "
        "written. The shaded region is out of reach for Adam: less than the time that the traffic "
        "of its step (28 bytes a parameter) takes at the bandwidth that was measured beside it. "
        "What moves less, as momentum does, or fits into a cache, may be faster.",
        _shows(material),
        f"Seconds a step against parameters for {costs.steps['optimizer'].nunique()} "
        "implementations, with the bound of the memory.",
        draw(costs.steps, costs.bound, looks),
        costs.steps,
    )
    return Section("cost", "Cost of a step", (plot, Text(f"Measured: {costs.where}.", note=True)))


def _shows(material: Material) -> str:
    costs = material.inputs.costs
    assert costs is not None
    largest = costs.steps[costs.steps["parameters"] == costs.steps["parameters"].max()]
    ordered = largest.sort_values(["seconds", "optimizer"])
    first, last = ordered.iloc[0], ordered.iloc[-1]
    size = int(first["parameters"])
    said = (
        f"At {size:,} parameters {first['optimizer']} takes {1e3 * first['seconds']:.1f} ms a "
        f"step and {last['optimizer']} {1e3 * last['seconds']:.1f} ms"
    )
    fused = largest[largest["optimizer"] == "adam[fused]"]
    bound = costs.bound[costs.bound["parameters"] == size]
    if len(fused) and len(bound):
        times = float(fused["seconds"].iloc[0] / bound["seconds"].iloc[0])
        said += f"; fused Adam is at {numerals.significant(times, 2)} times the memory bound"
    return said + "."
