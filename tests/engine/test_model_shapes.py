"""Shapes of real models: as published, and what scaling keeps of them."""

from __future__ import annotations

import math

import pytest

from optbench.engine.model_shapes import ELEMENTS, MODELS, NARROW, equal

PUBLISHED = {
    "resnet18": (62, 11_689_512),
    "bert-base": (199, 109_482_240),
    "gpt2": (148, 124_439_808),
    "many-tiny": (1_024, 5_021_056),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_published_numbers_of_tensors_and_parameters(name: str) -> None:
    model = MODELS[name]
    assert (len(model.shapes), model.elements) == PUBLISHED[name]
    assert model.source


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("elements", [ELEMENTS, 1_500_000])
def test_a_scaled_model_has_as_many_elements_as_asked_for(name: str, elements: int) -> None:
    scaled = MODELS[name].scaled(elements)
    assert scaled.elements == pytest.approx(elements, rel=0.02)
    assert scaled == MODELS[name].scaled(elements)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("elements", [ELEMENTS, 500_000, 1])
def test_scaling_keeps_dimensions_and_what_is_small(name: str, elements: int) -> None:
    whole, scaled = MODELS[name].shapes, MODELS[name].scaled(elements).shapes
    assert len(scaled) == len(whole)
    for before, after in zip(whole, scaled, strict=True):
        assert len(after) == len(before)
        for old, new in zip(before, after, strict=True):
            assert new == old if old <= NARROW else NARROW <= new <= old


def test_all_widths_shrink_by_one_factor() -> None:
    shapes = MODELS["bert-base"].scaled().shapes
    widths = {n for shape in shapes for n in shape if n > NARROW}
    # 768 and 3,072, and the lengths of the three tables that are long.
    assert len(widths) == 4
    assert max(widths) / min(widths) == pytest.approx(30522 / 512, rel=0.01)


def test_a_model_is_never_made_larger() -> None:
    assert MODELS["resnet18"].scaled(10**9) == MODELS["resnet18"]


def test_a_method_for_matrices_gets_matrices_alone() -> None:
    model = MODELS["resnet18"].scaled()
    matrices = model.matrices()
    assert {len(shape) for shape in matrices.shapes} == {2}
    kernels = [shape for shape in model.shapes if len(shape) > 1]
    assert matrices.elements == sum(map(math.prod, kernels))
    assert len(matrices.shapes) == 21


@pytest.mark.parametrize(
    ("elements", "tensors", "shape"),
    [(10_000, 10, (31, 32)), (1_000, 100, (3, 3)), (5, 10, (1, 1))],
)
def test_equal_matrices_are_near_square(elements: int, tensors: int, shape: object) -> None:
    assert equal(elements, tensors) == (shape,) * tensors
