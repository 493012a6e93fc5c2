"""Probes: short float64 trajectories, each made to show one kind of difference.

Which ones are tried is decided here, once for both sides, from what their constructors take. A
probe is a value: it travels to both sides, and its name is what a difference is reported under.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optbench.conformance.wants import Wants

STEPS = 60
"""Number of steps of most probes."""

SAVED_AT = 301
"""Steps before a save: odd, and past where bfloat16 stops counting (256)."""

LONG = 2_110
"""Steps of the long probe: past where float16 stops counting (2,048)."""


class Way(enum.StrEnum):
    """What happens on the way."""

    STEADY = "steady gradients"
    SHRINKING = "shrinking gradients"
    TINY = "gradients about 1e-7"
    ZERO = "zero gradients, then others"
    MISSING = "a parameter without a gradient"
    SPARSE = "sparse gradients"
    GROUPS = "two groups"
    ADDED = "a group added on the way"
    SCHEDULED = "a learning rate changed on the way"
    CHANGED = "a hyperparameter changed on the way"
    SHAPES = "a convolution's weight, a scalar and a long vector"
    HOLES = "gradients with zeros in them"
    CLOSURE = "step(closure)"
    FLOAT32 = "float32 parameters"
    LOADED = f"save and load at step {SAVED_AT}"
    LONG = f"{LONG:,} steps"
    PROMISE = "a promise of the contract"


@dataclass(frozen=True)
class Probe:
    """What both sides are led through.

    Attributes
    ----------
    name : str
        What it is about, as a difference is reported: a hyperparameter, or a way.
    way : Way
    settings : mapping
        Hyperparameters beside the defaults.
    second : mapping
        Of two groups: what the second one has of its own; of a change: what is changed to.
    """

    name: str
    way: Way = Way.SHRINKING
    settings: Mapping[str, Any] = field(default_factory=dict)
    second: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether it is an ordinary use, with nothing beside the defaults."""
        return not self.settings and self.way in (Way.STEADY, Way.SHRINKING)

    @property
    def condition(self) -> str:
        """Under what it shows, for "only with ..."."""
        if self.way in (Way.STEADY, Way.GROUPS, Way.CHANGED):
            return self.name
        if self.settings:
            given = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
            return given if self.way is Way.SHRINKING else f"{given} and {self.way.value}"
        return self.way.value


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
    wants : Wants
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
    wants: Wants
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


def plan(base: Description, head: Description) -> list[Probe]:
    """Return the probes for two versions of an optimizer, the most ordinary first.

    Where a default differs, the probes behind the first are told the base's, so that they show
    whether the rule is another one, too.
    """
    told = {
        name: value
        for name, value in base.hyperparameters.items()
        if name in head.hyperparameters and repr(value) != repr(head.hyperparameters[name])
    }
    probes = [Probe("defaults", Way.STEADY)]
    if told:
        probes.append(Probe("the base's defaults", Way.STEADY, told))
    ways = [Way.SHRINKING, Way.TINY, Way.ZERO, Way.MISSING, Way.SPARSE, Way.GROUPS, Way.ADDED,
            Way.SCHEDULED, Way.SHAPES, Way.HOLES, Way.CLOSURE, Way.FLOAT32, Way.LOADED,
            Way.LONG]  # fmt: skip
    probes += [Probe(way.value, way, told) for way in ways]
    settings = _distinct((*base.accepted, *head.accepted))
    # An argument that only the head has is new: nobody's results depend on it yet.
    settings = [each for each in settings if base.arguments.issuperset(each)]
    probes += [Probe(_title(each), Way.SHRINKING, {**told, **each}) for each in settings]
    # A group must go by its own value of everything, not by the first group's: one at a time.
    own = {name: value for each in reversed(settings) for name, value in [list(each.items())[-1]]}
    probes += [
        Probe(f"two groups, the second with another {name}", Way.GROUPS, told, {name: value})
        for name, value in reversed(own.items())
    ]
    probes += [
        Probe(f"another {name} from step 5 on", Way.CHANGED, told, {name: value})
        for name, value in reversed(own.items())
        if not isinstance(value, bool)  # a switch may need a state that was never made
    ]
    for offer in dict.fromkeys((*base.offers, *head.offers)):
        probes.append(Probe(f"{offer}=True", Way.SHRINKING, {**told, offer: True}))
        probes.append(Probe(f"{offer}=True, sparse", Way.SPARSE, {**told, offer: True}))
        for each in settings:
            switches = [v for v in each.values() if isinstance(v, bool)]
            if switches or set(each) == {"weight_decay"}:
                name = f"{offer}=True, {_title(each)}"
                probes.append(Probe(name, Way.SHRINKING, {**told, **each, offer: True}))
    return probes


def _title(settings: Mapping[str, Any]) -> str:
    """Return the name of a probe: the hyperparameter that it changes."""
    if len(settings) > 3:
        return "all numbers at once"
    *company, last = settings
    value = settings[last]
    title = f"{last}={value}" if isinstance(value, bool) else last
    given = ", ".join(f"{name}={settings[name]}" for name in company)
    return f"{title} ({given})" if given else title


def _distinct(settings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({repr(each): each for each in settings}.values())
