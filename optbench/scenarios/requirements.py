"""What an optimizer has to be given; a value that also those read who import no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirements:
    """How an optimizer has to be fed, as found by trying."""

    closure: bool = False
    sparse: bool = False
    graph: bool = False
    """Gradients that can be differentiated again."""
    matrices: bool = False
    """Two-dimensional parameters and no others."""
    gradients_first: bool = False
    """Gradients that are there before ``step(closure)``."""

    @property
    def evaluates_the_loss(self) -> bool:
        """Whether it asks for losses or gradients itself, where others are handed a gradient."""
        return self.closure or self.graph

    def __str__(self) -> str:
        words = {
            "closure": "a closure",
            "sparse": "sparse gradients",
            "graph": "backward(create_graph=True)",
            "matrices": "matrices only",
        }
        return ", ".join(text for name, text in words.items() if getattr(self, name))
