"""Bytes that are alive: what an optimizer keeps, wherever it keeps it."""

from __future__ import annotations

import gc
import sys
from itertools import chain, compress
from typing import Any

import torch
from torch import Tensor

from optbench.scenarios.session import Session


def growth_of(session: Session) -> float:
    """Bytes a step that everything alive grows by, at least, over two stretches."""
    with _Census() as census:
        # Numbers in names of their own: a list of them would grow, too.
        session.spend(150)
        first = census.size()
        session.spend(175)
        second = census.size()
        session.spend(175)
        third = census.size()
    return max(0.0, min(second - first, third - second) / 175)


class _Census:
    """Bytes of all that the garbage collector knows, tensors with their storage.

    An imported torch is hundreds of thousands of objects. They are picked out once, and weighed
    every time, for an optimizer may append to what was there before. But the collector is told to
    leave them alone: to search them for garbage takes longer than all the rest.
    """

    def __enter__(self) -> _Census:
        self._before = _weighed(gc.get_objects())
        gc.freeze()
        return self

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()

    def size(self) -> int:
        """Of what is alive now, or was before."""
        gc.collect()
        containers, tensors = map(chain, self._before, _weighed(gc.get_objects()))
        storages = (each.untyped_storage() for each in tensors if each.layout is torch.strided)
        # Of its own: the tensors that torch.compile traces with say that they are on the CPU.
        distinct: dict[int, int] = {
            each.data_ptr(): each.nbytes() for each in storages if each.device.type == "cpu"
        }
        return sum(map(sys.getsizeof, containers), sum(distinct.values()))


def _weighed(objects: list[Any]) -> tuple[list[Any], list[Tensor]]:
    """Those of the objects that are containers, and those that are tensors."""
    kinds = [*map(type, objects)]
    # By their ids: what a stranger's metaclass says of equality and hashes is not asked for.
    distinct = dict(zip(map(id, kinds), kinds, strict=True))
    tensors = frozenset(key for key, kind in distinct.items() if issubclass(kind, Tensor))

    def of(wanted: frozenset[int]) -> list[Any]:
        return [*compress(objects, map(wanted.__contains__, map(id, kinds)))]

    return of(_CONTAINERS), of(tensors)


_CONTAINERS = frozenset(map(id, (list, dict, set, tuple)))
