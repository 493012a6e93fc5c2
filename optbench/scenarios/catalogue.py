"""The scenarios that two versions of an optimizer are compared in.

Which ones is decided here, once for both sides, from what their constructors take. A scenario is a
value: it travels to both sides, and its name is what a difference is reported under.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optbench.scenarios.relations import RELATIONS
from optbench.scenarios.requirements import Requirements
from optbench.scenarios.scenario import Event, OwnValue, Scenario

SAVED_AT = 301
"""Steps before a save: odd, and past where bfloat16 stops counting (256)."""

LONG = 2_110
"""Steps of the long scenario: past where float16 stops counting (2,048)."""

CHECKPOINT_STEPS = 20
"""Steps around a checkpoint that another version wrote."""

CHANGED_AT = 5
"""Step at which hyperparameters change and groups are added."""


@dataclass(frozen=True)
class Description:
    """What a side says about an optimizer that it has met.

    Attributes
    ----------
    hyperparameters : mapping
        Arguments of the constructor whose defaults are plain values, and those.
    opaque : mapping
        The other arguments, and in a word what their defaults are: nobody is told of them.
    accepted : tuple of mappings
        Settings beside the default that it takes.
    offers : tuple of str
        ``foreach``, ``fused``, ... that work here.
    wants : Requirements
        How it has to be fed.
    trainable : bool
        Whether it has a learning rate and needs nothing that a run does not give.
    code : str
        A digest of its source and of what that imports; empty where it is not known.
    open_ended : bool
        Whether it takes arguments by names that its signature does not tell.
    uncompiled : bool
        Whether it gave something to torch.compile, which was off.
    files : frozenset of str
        What the digest was made of, below the tree's folder; none where it is not known.
    """

    hyperparameters: Mapping[str, Any]
    accepted: tuple[Mapping[str, Any], ...]
    offers: tuple[str, ...]
    wants: Requirements
    trainable: bool
    code: str
    opaque: Mapping[str, str] = field(default_factory=dict)
    open_ended: bool = False
    uncompiled: bool = False
    files: frozenset[str] = frozenset()

    @property
    def arguments(self) -> frozenset[str]:
        """The names of all arguments."""
        return frozenset((*self.hyperparameters, *self.opaque))


DEFAULTS = Scenario("defaults", "steady", is_plain=True)
"""The most ordinary use."""

ORDINARY = (
    Scenario("shrinking gradients", is_plain=True),
    Scenario("gradients about 1e-7", "tiny"),
    Scenario("gradients about 1e8", "huge"),
    Scenario("a NaN in each gradient at one step", "steady", ("a NaN",), steps=20),
    Scenario("zero gradients, then others", "steady", ("zeros first",)),
    Scenario("a parameter without a gradient", edits=("second missing",)),
    Scenario("gradients that come and go", "steady", ("coming and going",)),
    Scenario("sparse gradients", feed="sparse"),
    Scenario("two groups", second={"lr": OwnValue(1 / 3), "weight_decay": 0.05}),
    Scenario("a group added on the way", "steady", events=(Event(CHANGED_AT, "add a group"),)),
    Scenario(
        "a learning rate changed on the way",
        "steady",
        events=tuple(Event(step, "scale the rate", {"by": 0.5}) for step in (5, 10, 15)),
    ),
    Scenario(
        "a convolution's weight, a scalar and a long vector", shapes=((2, 3, 3, 3), (), (150,))
    ),
    Scenario("gradients with zeros in them", "steady", ("holes",)),
    Scenario("a tensor of 4,200 elements", "steady", shapes=((70, 60), (3, 2)), steps=20),
    Scenario("step(closure)", feed="closure", steps=15),
    Scenario("float32 parameters", dtype="float32"),
    Scenario("bfloat16 parameters", "steady", dtype="bfloat16"),
    Scenario("float16 parameters, small gradients", "small", ("one zero",), dtype="float16"),
    Scenario(
        f"save and load at step {SAVED_AT}",
        "steady",
        steps=SAVED_AT + 10,
        events=(Event(SAVED_AT, "save and load"),),
    ),
    Scenario(
        "a checkpoint whose counters are numbers",
        "steady",
        steps=CHECKPOINT_STEPS,
        events=(Event(CHANGED_AT, "load with numbers"),),
    ),
    Scenario(
        "a checkpoint whose counters are tensors",
        "steady",
        steps=CHECKPOINT_STEPS,
        events=(Event(CHANGED_AT, "load with tensors"),),
    ),
    # A fifth of all steps: two small tensors take half the time of four.
    Scenario(f"{LONG:,} steps", "steady", shapes=((4, 3), (5,)), steps=LONG),
)
"""Ordinary use, and the events of a training."""


DECAYING = Scenario(
    "bfloat16 parameters, a decay below their resolution",
    "steady",
    ("above one",),
    shapes=((64, 32),),
    dtype="bfloat16",
    # A step of the decay alone is less than half of what separates two numbers; one of the
    # gradient's is more.
    settings={"lr": 0.01, "weight_decay": 0.2},
)
"""Where decay acts only if it is added to the update before the parameter is rounded."""


OF_THE_LAWS = tuple(relation.scenario for relation in RELATIONS)
"""The scenarios of the laws that `check` holds."""


def changed_defaults(base: Description, head: Description) -> dict[str, Any]:
    """Return the base's values of those hyperparameters whose defaults differ."""
    return {
        name: value
        for name, value in base.hyperparameters.items()
        if name in head.hyperparameters and repr(value) != repr(head.hyperparameters[name])
    }


def switched_on(base: Description, head: Description) -> list[Mapping[str, Any]]:
    """Return a setting of each hyperparameter that is off at the base's defaults.

    An average of the weights may be kept only with one. Weight decay is none: what it adds to a
    buffer of gradients goes along with the weights.
    """
    off = {name for name, value in base.hyperparameters.items() if value is not None and not value}
    found: dict[str, Mapping[str, Any]] = {}
    for each in (*base.accepted, *head.accepted):
        if len(each) == 1 and {*each} <= off - {"weight_decay"}:
            found.setdefault(next(iter(each)), each)
    return list(found.values())


def plan(base: Description, head: Description) -> list[Scenario]:
    """Return the scenarios for two versions of an optimizer, the most ordinary first.

    Where a default differs, those behind the first are given the base's, so that they show
    whether the rule is another one, too.
    """
    given = changed_defaults(base, head)
    scenarios = [DEFAULTS]
    if given:
        scenarios.append(
            replace(DEFAULTS, name="the base's defaults", condition="the base's defaults",
                    settings=given, is_plain=False)
        )  # fmt: skip
    decaying = [DECAYING] if {*DECAYING.settings} <= {*base.hyperparameters} else []
    fitting = [
        fitted
        for each in (*ORDINARY, *decaying, *OF_THE_LAWS)
        if own_values(fitted := _fitted(each, base)) <= {*base.hyperparameters}
    ]
    scenarios += [with_settings(each, given) for each in fitting]
    settings = _distinct((*base.accepted, *head.accepted))
    # An argument that only the head has is new: nobody's results depend on it yet.
    settings = [each for each in settings if base.arguments.issuperset(each)]
    plain = Scenario("")
    scenarios += [
        _named(with_settings(plain, {**given, **each}), _title(each)) for each in settings
    ]
    # A group must go by its own value of everything, not by the first group's: one at a time.
    own = {name: value for each in reversed(settings) for name, value in [list(each.items())[-1]]}
    for name, value in reversed(own.items()):
        title = f"two groups, the second with another {name}"
        scenarios.append(_named(Scenario("", second={name: value}, settings=given), title, title))
    for name, value in reversed(own.items()):
        title = f"another {name} from step {CHANGED_AT} on"
        event = Event(CHANGED_AT, "set", {name: value})
        changed = Scenario("", "steady", settings=given, events=(event,))
        scenarios.append(_named(changed, title, title))
    for name in base.hyperparameters:
        if name in head.hyperparameters:
            title = f"a checkpoint from before {name} was an argument"
            event = Event(CHANGED_AT, "load without", {"hyperparameter": name})
            scenarios.append(
                _named(
                    Scenario("", "steady", steps=CHECKPOINT_STEPS, events=(event,)), title, title
                )
            )
    for offer in dict.fromkeys((*base.offers, *head.offers)):
        way = {**given, offer: True}
        scenarios.append(_named(with_settings(plain, way), f"{offer}=True"))
        for other in fitting:
            if other.feed.startswith("GradScaler") or other.name in IN_EVERY_IMPLEMENTATION:
                scenarios.append(_named(with_settings(other, way), f"{offer}=True, {other.name}"))
        for each in settings:
            title = f"{offer}=True, {_title(each)}"
            scenarios.append(_named(with_settings(plain, {**way, **each}), title))
    return scenarios


IN_EVERY_IMPLEMENTATION = (
    "sparse gradients",
    "gradients of other strides",
    "gradients that come and go",
    "complex parameters",
)
"""Scenarios that every implementation is tried in, too."""


def _fitted(scenario: Scenario, of: Description) -> Scenario:
    """Return the scenario with shapes and group values that the optimizer takes."""
    if scenario.shapes and of.wants.matrices:
        # A long one and a wide one stand for whatever the shapes are to show.
        scenario = replace(scenario, shapes=((30, 4), (4, 30), (1, 5)))
    if scenario.second is not None:
        names = of.hyperparameters
        known = {k: v for k, v in scenario.second.items() if names.get(k) is not None}
        scenario = replace(scenario, second=known)
    return scenario


def own_values(scenario: Scenario) -> set[str]:
    """Return the hyperparameters whose own values a scenario depends on."""
    given = (scenario.settings, scenario.second or {}, *(each.values for each in scenario.events))
    return {
        name.removeprefix("max_")
        for values in given
        for name, value in values.items()
        if isinstance(value, OwnValue)
    }


def with_settings(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    """Return the scenario under settings, which also stand for the optimizer's own values."""

    def resolved(values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            name: replace(value, value=settings.get(name.removeprefix("max_")))
            if isinstance(value, OwnValue)
            else value
            for name, value in values.items()
        }

    return replace(
        scenario,
        settings={**settings, **resolved(scenario.settings)},
        second=None if scenario.second is None else resolved(scenario.second),
        events=tuple(replace(event, values=resolved(event.values)) for event in scenario.events),
    )


def _named(scenario: Scenario, name: str, condition: str = "") -> Scenario:
    if not condition:
        given = ", ".join(f"{key}={value!r}" for key, value in scenario.settings.items())
        condition = f"{given} and {scenario.name}" if scenario.name else given
    return replace(scenario, name=name, condition=condition, is_plain=False)


def _title(settings: Mapping[str, Any]) -> str:
    """Return the name of a scenario: the hyperparameter that it changes."""
    if len(settings) > 3:
        return "all numbers at once"
    *company, last = settings
    value = settings[last]
    title = f"{last}={value}" if isinstance(value, bool) else last
    given = ", ".join(f"{name}={settings[name]}" for name in company)
    return f"{title} ({given})" if given else title


def _distinct(settings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({repr(each): each for each in settings}.values())
