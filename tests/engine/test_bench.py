"""Gradients that an optimizer is timed on."""

from __future__ import annotations

import torch

from optbench.engine.bench import Bench, with_all_rows


def test_all_rows_are_what_torch_makes_sparse_and_a_copy() -> None:
    for shape in ((5, 3), (7,), (1,), (4, 3, 2, 2)):
        gradient = torch.randn(shape)
        made, torchs = with_all_rows(gradient), gradient.to_sparse(1)
        assert made.is_coalesced() == torchs.is_coalesced() is True
        assert torch.equal(made.indices(), torchs.indices())
        assert torch.equal(made.values(), torchs.values())
        made.values().zero_()
        assert gradient.abs().sum() > 0


def test_every_step_is_given_the_same_gradients() -> None:
    for sparse, kind in ((None, torch.optim.SGD), (with_all_rows, torch.optim.SparseAdam)):
        bench = Bench(lambda params, kind=kind: kind(params, lr=0.1), ((5, 3), (7,)), sparse=sparse)
        given = []
        for _ in range(2):
            bench.give()
            given.append([parameter.grad.to_dense().clone() for parameter in bench.params])
            for parameter in bench.params:
                (parameter.grad.values() if sparse else parameter.grad).zero_()
        assert all(torch.equal(*pair) for pair in zip(*given, strict=True))
