"""Write docs/scenarios.md: every scenario, what is observed in it, and who judges by it.

python scripts/write_scenarios_page.py
"""

from __future__ import annotations

from pathlib import Path

import torch

from optbench.conformance.contract import CONTRACT
from optbench.scenarios.catalogue import DECAYING, DEFAULTS, OF_THE_LAWS, ORDINARY
from optbench.scenarios.handling import OBSERVATIONS
from optbench.scenarios.introspect import introspect
from optbench.scenarios.perform import perform
from optbench.scenarios.relations import RELATIONS
from optbench.scenarios.scenario import STEPS, Scenario
from optbench.scenarios.schedulers import STEPS as SCHEDULED
from optbench.scenarios.schedulers import TriedScheduler, observe_scheduler

PAGE = Path(__file__).parents[1] / "docs" / "scenarios.md"

HEAD = """\
# Scenarios, observables, judges

What is done to an optimizer, and what is recorded of it. `optbench check` holds laws between two
scenarios of one version ([the contract](contract.md)); `optbench compare` puts two versions through
every scenario and compares all that was recorded ([comparing versions](comparing.md)). This page is
made from the code by `scripts/write_scenarios_page.py`.
"""

BESIDE = """\
## Outside of the steps

Observed once an optimizer, by both judges. Where it raises, that is what is observed.
"""

SCHEDULERS = """\
## Schedulers

Classes below `torch.optim.lr_scheduler.LRScheduler` are stepped over two groups, with arguments
that are found by trying: some that are short, and each optional one with another value. `compare`
does so with those of files that changed, by the arguments of the base, and `check` with those that
it is given ([what it holds](contract.md#learning-rate-schedulers)). Momenta are recorded, too.
"""

NOT_SEEN = """\
## What is not seen

- Anything on a GPU but what `a_gradient_scaler_does_not_matter_on_cuda` and
  `cuda_agrees_with_the_cpu` look at, where there is one.
- State that neither moves a parameter nor is an average of the weights: a renamed or rescaled
  moment is no difference.
- Counters beyond 2,110 steps: a type that stops counting before is seen, a later one is not.
- What a checkpoint holds beside what the next steps need.
- Text: messages, warnings and logs.
- Arguments of `step` other than a closure, and methods that a training loop calls by other names.
- Averaged models.
- Schedulers that are given no `torch.optim` optimizer, or are no subclass of torch's.
- Gradients of a network: here they are given, and do not depend on where the parameters are. The
  convergence rung is for that.
"""


def how(scenario: Scenario) -> str:
    """Say what sets a scenario apart from `STEPS` steps on shrinking float64 gradients."""
    parts = [f"{scenario.gradients} gradients" if scenario.gradients != "shrinking" else ""]
    parts += scenario.edits
    parts.append(f"shapes {', '.join(map(str, scenario.shapes))}" if scenario.shapes else "")
    parts.append(scenario.dtype if scenario.dtype != "float64" else "")
    parts += [scenario.layout, scenario.feed]
    parts += [f"{event.action} at step {event.step}" for event in scenario.events]
    parts.append(f"{scenario.steps:,} steps" if scenario.steps != STEPS else "")
    return "; ".join(dict.fromkeys(filter(None, parts))) or "as they are"


def table(*rows: tuple[str, ...]) -> str:
    """Return a Markdown table, the first row its head."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join((head, f"|{'---|' * len(rows[0])}", *body))


def page() -> str:
    """Return the page."""
    checks = {repr(relation.scenario): relation for relation in RELATIONS}
    scenarios = [("scenario", "what is done", "a law that `check` holds (under which settings)")]
    for each in (DEFAULTS, *ORDINARY, DECAYING, *OF_THE_LAWS):
        relation = checks.get(repr(each))
        law = ""
        if relation is not None:
            like = f"as {relation.like.name}" if relation.like else "finite, nothing raised"
            law = f"`{relation.check}`: {like} ({relation.over.value})"
        scenarios.append((each.name, how(each), law))
    scenarios += [
        ("each hyperparameter", "another value or the other switch, alone, and all at once", ""),
        ("each implementation", "`foreach`, `fused`; with each of these, sparse gradients", ""),
        ("two groups", "each hyperparameter with another value in the second", ""),
        ("on the way", "each hyperparameter with another value from step 5 on", ""),
        ("a checkpoint of an older version", "each hyperparameter missing from it", ""),
        ("a checkpoint of the base", "loaded by both versions, 20 steps on", ""),
    ]
    subject = introspect(torch.optim.AdamW)
    observed = perform(subject, DEFAULTS).observations
    names = [name for name in observed if "param_groups" not in name]
    observables = [("observable", "compared")]
    observables.append(("the parameters after each step", "to the bit, then up to rounding"))
    observables += [(name, "up to rounding, or equal") for name in names]
    observables.append(
        ("every plain value of `optimizer.param_groups`", "up to rounding, or equal")
    )
    observables.append(("the weights in `eval()` mode, where there is one", "up to rounding"))
    averages = "averages of the weights in the state, at the defaults and with what is off there"
    observables.append((averages, "up to rounding, by any name"))
    schedule = observe_scheduler(TriedScheduler(torch.optim.lr_scheduler.StepLR))
    every = [name for name in schedule if ";" not in name]
    moments = [name for name in every if "resumed" in name or "last_epoch" in name]
    beside = [("observable",), *((name,) for name in OBSERVATIONS)]
    rates = [("observable",), *((name,) for name in every if name not in moments)]
    rates.append((f"the same, resumed after each of {SCHEDULED} steps",))
    rates.append((f"the same, constructed with last_epoch at each of {SCHEDULED} steps",))
    rates.append(("each of these with every setting of the arguments",))
    sections = (
        HEAD,
        f"`check` holds {len(CONTRACT)} checks, of which {len({r.check for r in RELATIONS})} are "
        "laws between two scenarios of this table.\n",
        f"## Scenarios\n\n{STEPS} steps on float64 gradients that shrink by four decades, unless "
        "it says otherwise.\n\n" + table(*scenarios) + "\n",
        "## What is recorded in each\n\n" + table(*observables) + "\n",
        BESIDE + "\n" + table(*beside) + "\n",
        SCHEDULERS + "\n" + table(*rates) + "\n",
        NOT_SEEN,
    )
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
