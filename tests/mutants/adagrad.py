"""Adagrad in torch's convention, for dense and sparse gradients, with a foreach way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mutants.base import Group, State, Twin, coupled_decay, zeros


class Adagrad(Twin):
    """Duchi et al. 2011, diagonal; eps stands outside the root."""

    SPARSE = True
    GOES_ON_AFTER_A_SPARSE_ONE = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "eps": eps,
                "maximize": maximize,
                "foreach": foreach,
            },
        )

    def begin(self, parameter: Tensor, group: Group) -> State:
        return {"sum": zeros(parameter)}

    def update_group(self, parameters: list[Tensor], group: Group) -> None:
        if group["foreach"]:
            self.update_together(parameters, group)
        else:
            super().update_group(parameters, group)

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        if gradient.is_sparse:
            self.update_sparse(parameter, gradient, state, group)
            return
        gradient = coupled_decay(parameter, gradient, group)
        state["sum"].addcmul_(gradient, gradient)
        root = state["sum"].sqrt().add_(group["eps"])
        parameter.addcdiv_(gradient, root, value=-group["lr"])

    def update_sparse(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group
    ) -> None:
        """Touch only what the gradient has; equal indices are one, for squares do not add up."""
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay has no sparse gradient")
        gradient = gradient.coalesce()
        index, values = gradient.indices(), gradient.values()

        def like(entries: Tensor) -> Tensor:
            return torch.sparse_coo_tensor(index, entries, gradient.shape, check_invariants=False)

        state["sum"].add_(like(values.square()))
        roots = state["sum"].sparse_mask(gradient).coalesce().values().sqrt_().add_(group["eps"])
        parameter.add_(like(values / roots), alpha=-group["lr"])

    def update_together(self, parameters: list[Tensor], group: Group) -> None:
        """The dense ones at once; foreach has nothing for sparse ones, which go by themselves."""
        dense = []
        for parameter in parameters:
            if not parameter.grad.is_sparse:  # type: ignore[union-attr]
                dense.append(parameter)
                continue
            super().update_group([parameter], group)
            if not self.GOES_ON_AFTER_A_SPARSE_ONE:
                return
        if not dense:
            return
        gradients = [self.gradient(parameter, group) for parameter in dense]
        if group["weight_decay"] != 0:
            gradients = list(torch._foreach_add(gradients, dense, alpha=group["weight_decay"]))
        sums = [self.state[parameter]["sum"] for parameter in dense]
        torch._foreach_addcmul_(sums, gradients, gradients, 1.0)
        roots = list(torch._foreach_sqrt(sums))
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(dense, gradients, roots, -group["lr"])


class SparseForeachReturnsEarly(Adagrad):
    """pytorch#110454: ``return`` for ``continue``: after a sparse one the others are forgotten."""

    GOES_ON_AFTER_A_SPARSE_ONE = False


class SparseTakenForCoalesced(Adagrad):
    """pytorch#1545: two entries of one row are written, and the later one stays."""

    def update_sparse(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group
    ) -> None:
        rows, values = gradient._indices()[0], gradient._values()
        total = state["sum"]
        total[rows] = total[rows] + values.square()
        parameter[rows] -= group["lr"] * values / total[rows].sqrt().add_(group["eps"])


class EmptySparseHasALargestEntry(Adagrad):
    """pytorch#82486 (there by another operation): nothing is done that an empty gradient can do."""

    def update_sparse(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group
    ) -> None:
        if gradient.coalesce().values().abs().max() > 0:
            super().update_sparse(parameter, gradient, state, group)
