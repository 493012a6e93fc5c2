"""Shapes of parameters to time a step on: those of real models, with their source, scaled."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]

ELEMENTS = 5_000_000
"""Default number of elements that a model is scaled to."""

NARROW = 16
"""Length of a dimension up to which it is kept, and down to which longer ones shrink: kernels,
heads and scalars stay what they are."""


@dataclass(frozen=True)
class Model:
    """Shapes of a model's parameters, in the order of its ``parameters()``.

    Attributes
    ----------
    name : str
    shapes : tuple of tuple of int
    source : str
        Where the shapes are from.
    """

    name: str
    shapes: Shapes
    source: str

    @property
    def elements(self) -> int:
        """Number of elements of all tensors."""
        return sum(map(math.prod, self.shapes))

    def scaled(self, elements: int = ELEMENTS) -> Model:
        """Return the model with all widths multiplied by one factor of at most one.

        Every tensor keeps its number of dimensions; of a dimension longer than `NARROW` the share
        is rounded, and is no shorter than that. The factor is the multiple of 1/4096 whose total
        comes first to ``elements``: within 2 % of it down to a hundredth of the model, no less than
        the tensors with all widths at `NARROW`, and no more than the model.
        """

        def at(share: int) -> Shapes:
            return tuple(tuple(_shrunk(n, share) for n in shape) for shape in self.shapes)

        def total(share: int) -> int:
            return sum(map(math.prod, at(share)))

        share = bisect.bisect_left(range(_WHOLE), elements, key=total)
        return replace(self, shapes=at(share))

    def matrices(self) -> Model:
        """Return what a method for matrices alone gets of it: vectors left out, kernels flattened.

        A convolution's weight becomes a matrix with a row for each output channel.
        """
        flat = tuple((s[0], math.prod(s[1:])) for s in self.shapes if len(s) > 1)
        return replace(self, shapes=flat)


_WHOLE = 4096


def _shrunk(length: int, share: int) -> int:
    return length if length <= NARROW else max(NARROW, round(length * share / _WHOLE))


def equal(elements: int, tensors: int = 10) -> Shapes:
    """Return the shapes of near-square matrices of about so many elements in all."""
    each = max(1, elements // tensors)
    rows = max(1, math.isqrt(each))
    return ((rows, each // rows),) * tensors


def _linear(inputs: int, outputs: int) -> Shapes:
    return (outputs, inputs), (outputs,)


def _norm(width: int) -> Shapes:
    return (width,), (width,)


def _resnet18() -> Shapes:
    shapes: list[Shape] = [(64, 3, 7, 7), *_norm(64)]
    before = 64
    for width in (64, 128, 256, 512):
        for block in range(2):
            inputs = width if block else before
            shapes += [(width, inputs, 3, 3), *_norm(width), (width, width, 3, 3), *_norm(width)]
            if inputs != width:
                shapes += [(width, inputs, 1, 1), *_norm(width)]
        before = width
    return (*shapes, *_linear(512, 1000))


def _bert_base() -> Shapes:
    width = 768
    layer = (
        *_linear(width, width) * 4, *_norm(width),
        *_linear(width, 4 * width), *_linear(4 * width, width), *_norm(width),
    )  # fmt: skip
    embeddings = ((30522, width), (512, width), (2, width), *_norm(width))
    return (*embeddings, *layer * 12, *_linear(width, width))


def _gpt2() -> Shapes:
    width = 768
    # Its linear maps are kept transposed.
    layer = (
        *_norm(width), (width, 3 * width), (3 * width,), (width, width), (width,),
        *_norm(width), (width, 4 * width), (4 * width,), (4 * width, width), (width,),
    )  # fmt: skip
    return ((50257, width), (1024, width), *layer * 12, *_norm(width))


def _many_tiny() -> Shapes:
    width = 276
    layer = ((width, width), *((width,),) * 4, *((1,),) * 6, *((4, 4),) * 4, (width, 4))
    return layer * 64


def _named(models: Sequence[Model]) -> Mapping[str, Model]:
    return {model.name: model for model in models}


MODELS = _named(
    (
        Model(
            "resnet18",
            _resnet18(),
            "torchvision.models.resnet18: He et al. 2016, arXiv:1512.03385, table 1",
        ),
        Model(
            "bert-base",
            _bert_base(),
            "transformers.BertModel, bert-base-uncased, with its pooler: Devlin et al. 2019, "
            "arXiv:1810.04805, section 3",
        ),
        Model(
            "gpt2",
            _gpt2(),
            "transformers.GPT2Model, gpt2, its head tied to the embedding: Radford et al. 2019, "
            "table 2, the smallest",
        ),
        Model(
            "many-tiny",
            _many_tiny(),
            "made up: 64 layers of one matrix beside 15 gates, scales, biases and small maps, as "
            "of adapters, quantization-aware training and mixtures of experts, where a step is "
            "overhead",
        ),
    )
)
"""Models whose shapes are timed, by name."""
