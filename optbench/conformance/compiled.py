"""Does a step stay itself under torch.compile, and is it one graph?"""

from __future__ import annotations

from optbench.scenarios.agreement import require_agreement
from optbench.scenarios.compiled import RATE_CHANGES_AT, STEPS, compiled_steps
from optbench.scenarios.outcomes import Advice
from optbench.scenarios.subject import Subject, require_determinism

BOUND = 1e-4
"""Largest difference of a compiled step that is no finding, relative to the distance travelled:
torch's own count their steps in float32 where they are compiled."""

ROUNDING = 1e-2
"""Largest one that rounding explains: of an update in bfloat16 by a rate that is a tensor, say."""


def a_compiled_step_equals_the_eager_one(subject: Subject) -> str:
    """Under torch.compile a step is the same, in one graph, which no step compiles anew."""
    require_determinism(subject)
    found = compiled_steps(subject)
    worst = require_agreement(
        found.path,
        found.eager,
        start=found.start,
        relative=ROUNDING,
        who="itself",
        under="without torch.compile",
    )
    graphs = found.graphs_per_step
    said = []
    if worst > BOUND:
        said.append(f"it rounds otherwise, by {worst:.1e} of the distance travelled")
    if graphs != 1:
        said.append(f"it runs in {graphs} graphs a step" if graphs else "it runs uncompiled")
    if again := found.compiled_again:
        steps = "steps" if len(again) > 1 else "step"
        said.append(f"it is compiled again in {steps} {', '.join(map(str, again))}")
    if said:
        raise Advice("; ".join([f"under torch.compile {' and '.join(said)}", *found.breaks]), worst)
    changes = f", the rate halved after {RATE_CHANGES_AT}" if found.tensor_rate else ""
    return f"one graph, within {worst:.1e} of the distance travelled in {STEPS} steps{changes}"
