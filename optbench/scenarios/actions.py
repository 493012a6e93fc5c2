"""What may happen to an optimizer between two steps, besides training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from optbench.scenarios.session import Session

Action = Callable[[Session, Mapping[str, Any]], Session]
"""Does it to a session; returns the session that goes on."""


def _save_and_load(session: Session, _: Mapping[str, Any]) -> Session:
    """Go on with a fresh instance that loaded the state from a file."""
    return session.resumed()


def _load_without(session: Session, values: Mapping[str, Any]) -> Session:
    """Go on with a fresh instance that loaded a checkpoint without some hyperparameter."""

    def edit(state: Any) -> None:
        for group in state["param_groups"]:
            group.pop(values["hyperparameter"], None)

    return session.resumed(edit=edit)


def _load_numbers(session: Session, _: Mapping[str, Any]) -> Session:
    """Go on with a fresh instance whose checkpoint has numbers for tensors of one element.

    So were the step counters of torch's own classes until 1.12.
    """

    def edit(state: Any) -> None:
        for entry in state["state"].values():
            for name, value in entry.items() if isinstance(entry, dict) else ():
                if isinstance(value, torch.Tensor) and value.ndim == 0:
                    entry[name] = value.item()

    return session.resumed(edit=edit)


def _load_tensors(session: Session, _: Mapping[str, Any]) -> Session:
    """Go on with a fresh instance whose checkpoint has tensors for numbers."""

    def edit(state: Any) -> None:
        for entry in state["state"].values():
            for name, value in entry.items() if isinstance(entry, dict) else ():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    # float64: a version that computes with the tensor rounds as with the number.
                    entry[name] = torch.tensor(float(value), dtype=torch.float64)

    return session.resumed(edit=edit)


def _load_later(session: Session, values: Mapping[str, Any]) -> Session:
    """Go on with a fresh instance whose checkpoint counts more steps than were taken.

    A counter is a whole number that is, but for one, the number of steps taken.
    """

    def counts(value: Any) -> bool:
        if isinstance(value, torch.Tensor):
            return value.numel() == 1 and counts(value.item())
        return type(value) in (int, float) and value in range(session.step - 1, session.step + 2)

    def advance(entries: dict[str, Any], names: Iterable[str]) -> None:
        for name in names:
            if counts(value := entries[name]):
                many = values["steps"]
                is_tensor = isinstance(value, torch.Tensor)
                entries[name] = torch.full_like(value, many) if is_tensor else type(value)(many)

    def edit(state: Any) -> None:
        for entry in state["state"].values():
            if isinstance(entry, dict):
                advance(entry, [*entry])
        for group in state["param_groups"]:
            # Some keep their counter in the group, where hyperparameters are, too.
            advance(group, {*group} - {"params", *session.optimizer.defaults})

    return session.resumed(edit=edit)


def _load_in_process(session: Session, _: Mapping[str, Any]) -> Session:
    """Go on with a fresh instance that loaded the state as it is; the first one trains on, too."""
    fresh = session.resumed(through_a_file=False)
    session.advance(STEPS_OF_THE_OTHER)
    return fresh


def _set(session: Session, values: Mapping[str, Any]) -> Session:
    """Set hyperparameters that the groups have."""
    for group in session.optimizer.param_groups:
        group.update({name: value for name, value in values.items() if name in group})
    return session


def _scale_the_rate(session: Session, values: Mapping[str, Any]) -> Session:
    for group in session.optimizer.param_groups:
        group["lr"] = group["lr"] * values["by"]
    return session


def _add_a_group(session: Session, _: Mapping[str, Any]) -> Session:
    """Add all parameters but the first, which was alone until now."""
    session.optimizer.add_param_group({"params": session.params[1:]})
    return session


def _one_cycle(session: Session, values: Mapping[str, Any]) -> Session:
    """Have OneCycleLR set rate and momentum (or the first beta) before each further step."""
    optimizer = session.optimizer
    has_momentum = {"momentum", "betas"} & {*optimizer.defaults}
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=values["max_lr"], total_steps=values["steps"],
        cycle_momentum=bool(has_momentum),
    )  # fmt: skip
    plain = session.feed

    def step_and_schedule(session: Session) -> Any:
        returned = plain(session)
        scheduler.step()
        return returned

    session.feed = step_and_schedule
    return session


def _eval_and_back(session: Session, _: Mapping[str, Any]) -> Session:
    """Switch to the weights that are evaluated and back, each twice."""
    if session.has_modes:
        optimizer: Any = session.optimizer
        for switch in (optimizer.eval, optimizer.eval, optimizer.train, optimizer.train):
            switch()
    return session


STEPS_OF_THE_OTHER = 5
"""Steps of an optimizer after another one loaded its state in the same process."""

ACTIONS: Mapping[str, Action] = {
    "save and load": _save_and_load,
    "load without": _load_without,
    "load with numbers": _load_numbers,
    "load with tensors": _load_tensors,
    "load later": _load_later,
    "load in process": _load_in_process,
    "set": _set,
    "scale the rate": _scale_the_rate,
    "add a group": _add_a_group,
    "OneCycleLR": _one_cycle,
    "eval and back": _eval_and_back,
}
"""Actions, by the name that an event has for them."""
