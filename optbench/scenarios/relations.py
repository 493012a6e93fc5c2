"""Laws that hold within one version: two scenarios that an optimizer has to go alike.

Each row is one scenario and its partner. `check` holds the two against one another; `compare` puts
both versions through the first and compares the records.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from optbench.scenarios.scenario import Event, OwnValue, Scenario

EXACT = 1e-10
"""Bound on the difference of two float64 paths, relative to the distance travelled."""

CONVOLUTIONS = ((4, 3, 2, 2), (3, 2, 3, 3), (5,))
"""Shapes of two convolutions' weights and of a bias."""

FEW = 24
"""Number of steps with other strides, which show when buffers are made and when they are used."""

LATE = 11
"""Step at which most events happen; odd, so that a lost parity shows."""


MANY = 70_000
"""Steps that a checkpoint counts: more than float16 can hold, which ends at 65,504."""


class Over(enum.Enum):
    """Settings under which a relation is held."""

    DEFAULTS = "the defaults"
    IMPLEMENTATIONS = "every implementation"
    COMBINATIONS = "all pairs of settings"


@dataclass(frozen=True)
class Relation:
    """A scenario and what it has to go like.

    Attributes
    ----------
    check : str
        The check that holds it.
    scenario : Scenario
    like : Scenario or None
        Its partner; None: parameters have to stay finite, and nothing may be raised.
    over : Over
        Under which settings it is held.
    bound : float
        Relative to the distance travelled; infinite: it stays finite where its partner does.
    mirrored : bool
        The path is the partner's, mirrored at zero.
    unchanged : tuple of str
        Observables of the scenario that must not say "changed".
    compares_state : bool
        The state at the end and the weights of ``eval()`` have to be the partner's, too.
    needs : frozenset of str
        Of the optimizer: ``lr``; ``betas``; ``groups``; ``vectors`` (not matrices only);
        ``gradients`` (does not evaluate the loss itself); ``dense`` (takes dense gradients);
        ``sparse`` (takes sparse ones); ``half`` (takes float16 ones); ``complex``; ``modes``.
    is_refusable : bool
        An optimizer may raise there: torch does not ask everyone to take it.
    """

    check: str
    scenario: Scenario
    like: Scenario | None
    over: Over = Over.DEFAULTS
    bound: float = EXACT
    mirrored: bool = False
    unchanged: tuple[str, ...] = ()
    compares_state: bool = False
    needs: frozenset[str] = frozenset()
    is_refusable: bool = False


def _relations() -> Iterable[Relation]:
    plain = Scenario("plain gradients")
    dense = frozenset({"gradients", "dense"})

    layouts = "the_layout_in_memory_does_not_matter"
    short = Scenario("plain gradients", steps=FEW)
    means = Scenario("the same gradients, contiguous", edits=("row means",), steps=FEW)
    images = Scenario("contiguous tensors", shapes=CONVOLUTIONS, steps=FEW)
    for layout, like, needs in (
        ("gradients of other strides", short, dense),
        ("expanded gradients", means, dense),
        ("transposed parameters", short, frozenset({"dense"})),
        ("channels_last", images, frozenset({"dense", "vectors"})),
        ("channels_last parameters", images, dense | {"vectors"}),
    ):
        other = replace(like, name=layout, layout=layout)
        yield Relation(
            layouts, other, replace(like, name="contiguous ones"), Over.COMBINATIONS, needs=needs
        )

    yield Relation(
        "empty_tensors_do_not_matter",
        Scenario("empty tensors between the others", edits=("with empty",)),
        replace(plain, name="the same without empty tensors"),
        needs=frozenset({"dense"}),
    )
    coalesced = Scenario("coalesced ones", gradients="steady", feed="sparse")
    yield Relation(
        "uncoalesced_gradients_go_as_coalesced_ones",
        replace(coalesced, name="uncoalesced sparse gradients", feed="uncoalesced"),
        coalesced, Over.COMBINATIONS, needs=frozenset({"sparse"}),
    )  # fmt: skip
    yield Relation(
        "an_empty_sparse_gradient_is_survived",
        replace(coalesced, name="sparse gradients, some of them empty", feed="sometimes empty"),
        None, Over.COMBINATIONS, needs=frozenset({"sparse"}),
    )  # fmt: skip
    yield Relation(
        "complex_parameters_go_as_their_real_view",
        Scenario("complex parameters", gradients="complex", dtype="complex128"),
        Scenario("their real view", gradients="real view"),
        Over.COMBINATIONS, needs=dense | {"complex", "vectors"},
    )  # fmt: skip
    yield Relation(
        "mirrored_gradients_mirror_the_path",
        Scenario("mirrored start and gradients", edits=("negated",)),
        replace(plain, name="the mirrored path"),
        Over.COMBINATIONS, mirrored=True, needs=frozenset({"gradients"}),
    )  # fmt: skip

    tensors = "a_tensor_rate_goes_as_the_number"
    number = Scenario("the number", gradients="steady")
    for shape, kind in (((), "0-dimensional"), ((1,), "one-element")):
        rate = OwnValue(tensor=shape)
        yield Relation(
            tensors, replace(number, name=f"a {kind} tensor as lr", settings={"lr": rate}), number,
            unchanged=("tensors given as hyperparameters",), needs=frozenset({"lr"}),
            is_refusable=True,
        )  # fmt: skip
    yield Relation(
        tensors,
        replace(number, name="0-dimensional tensors as betas",
                settings={"betas": OwnValue(tensor=())}),
        number, unchanged=("tensors given as hyperparameters",), needs=frozenset({"betas"}),
        is_refusable=True,
    )  # fmt: skip
    yield Relation(
        tensors,
        replace(number, name="a tensor as lr, two groups", settings={"lr": OwnValue(tensor=())},
                second={"lr": OwnValue(1 / 3, tensor=())}),
        replace(number, second={"lr": OwnValue(1 / 3)}),
        needs=frozenset({"lr", "groups"}), is_refusable=True,
    )  # fmt: skip
    yield Relation(
        "a_rate_of_zero_is_survived",
        Scenario(
            "a learning rate of zero, a tiny one and zero again",
            gradients="steady",
            edits=("one zero",),
            events=(
                Event(0, "set", {"lr": 0.0}),
                Event(3, "set", {"lr": OwnValue(1e-9)}),
                Event(6, "set", {"lr": OwnValue()}),
                Event(LATE, "set", {"lr": 0.0}),
                Event(LATE + 3, "set", {"lr": OwnValue()}),
            ),
        ),
        None, Over.COMBINATIONS, needs=frozenset({"lr"}),
    )  # fmt: skip
    yield Relation(
        "a_scheduler_of_rate_and_momentum_works",
        Scenario(
            "OneCycleLR, which changes lr and momentum",
            gradients="steady",
            events=(Event(0, "OneCycleLR", {"max_lr": OwnValue(), "steps": 100}),),
        ),
        None, Over.COMBINATIONS, needs=frozenset({"lr"}),
    )  # fmt: skip

    loading = "a_loaded_optimizer_shares_no_memory"
    yield Relation(
        loading,
        replace(plain, name="a load in the same process, the first one training on",
                events=(Event(LATE, "load in process"),)),
        replace(plain, name="the one that was not loaded"),
        Over.COMBINATIONS, needs=frozenset({"gradients"}),
    )  # fmt: skip
    early = "saves_and_loads_before_the_first_step"
    yield Relation(
        early,
        replace(plain, name="a save and load before the first step",
                events=(Event(0, "save and load"),)),
        replace(plain, name="one that was not saved"), compares_state=True,
    )  # fmt: skip
    missing = Scenario("one that was not saved", edits=("second missing",))
    yield Relation(
        early,
        replace(missing, name="a save and load, one parameter without a gradient",
                events=(Event(LATE, "save and load"),)),
        missing, compares_state=True,
    )  # fmt: skip
    yield Relation(
        "eval_and_back_changes_nothing",
        replace(plain, name="eval() and back to train(), each twice",
                events=(Event(LATE, "eval and back"),)),
        replace(plain, name="one that was not switched"),
        bound=1e-8, needs=frozenset({"modes"}),
    )  # fmt: skip

    single = Scenario(
        "plain gradients", gradients="small", edits=("near zero",), dtype="float16", steps=30
    )
    yield Relation(
        "saves_and_loads_in_float16",
        replace(single, name="a save and load in float16, moments small",
                events=(Event(LATE, "save and load"),)),
        replace(single, name="one that was not saved"),
        bound=0.0, needs=frozenset({"gradients", "half"}),
    )  # fmt: skip

    young = Scenario(
        # Whether an eps of 1e-8 is zero in float16 is another law's matter.
        f"one of {LATE} steps", gradients="steady", edits=("none small",), dtype="float16", steps=30
    )  # fmt: skip
    yield Relation(
        "float16_goes_on_after_70000_steps",
        replace(young, name=f"a checkpoint of {MANY:,} steps in float16",
                events=(Event(LATE, "load later", {"steps": MANY}),)),
        young, over=Over.IMPLEMENTATIONS, bound=math.inf, needs=frozenset({"gradients", "half"}),
    )  # fmt: skip

    scaling = "a_gradient_scaler_does_not_matter"
    single = Scenario("plain gradients", gradients="steady", dtype="float32", steps=30)
    for feed, like_feed in (
        ("GradScaler", ""),
        ("GradScaler, unscale_", ""),
        ("GradScaler, unscale_ now and then", ""),
        ("GradScaler, unscale_ and clipping", "clipped"),
        ("GradScaler, sometimes infinite", "some steps left out"),
    ):
        yield Relation(
            scaling, replace(single, name=feed, feed=feed),
            replace(single, name="the same without GradScaler", feed=like_feed),
            over=Over.IMPLEMENTATIONS, bound=1e-5, needs=dense,
        )  # fmt: skip


RELATIONS = tuple(_relations())
"""Every law that is held between two scenarios, in the order in which checks report them."""
