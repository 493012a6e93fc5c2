"""The colours of figures on a dark page: lighter ones, and neutrals turned about.

In a page a figure names its colours by variables, which the page sets for light and dark; a
figure that stands alone keeps the colours of `style`.
"""

from __future__ import annotations

from optbench.reporting import style

PAPER = "#161b21"
"""Background of figures in dark mode; white in the light."""

DARK = {
    "paper": ("#ffffff", PAPER),
    "ink": (style.INK, "#e6e9ed"),
    "faint": (style.FAINT, "#9aa4af"),
    "rest": (style.REST, "#4d5863"),
    "grid": (style.GRID, "#252c34"),
    "edge": (style.RC["axes.edgecolor"], "#56616c"),
    "tick": (style.RC["xtick.color"], "#7f8993"),
    "name": ("#8a919b", "#8a939e"),
    "some": (style.UNKNOWN_COLORS[0], "#d9dee4"),
    "more": (style.UNKNOWN_COLORS[1], "#b7bfc8"),
    "other": (style.UNKNOWN_COLORS[2], "#98a2ad"),
    "blue": (style.BLUE, "#5aaaf2"),
    "orange": (style.ORANGE, "#ffb938"),
    "red": (style.RED, "#ff6557"),
    "purple": (style.PURPLE, "#c68aec"),
    "brown": (style.BROWN, "#cf9885"),
    "vermilion": (style.VERMILION, "#ff8f3f"),
    "sand": (style.SAND, "#d6ca90"),
    "slate": (style.SLATE, "#a3a8b7"),
    "cyan": (style.CYAN, "#92dadd"),
}
"""By variable: the colour in light, which is the one that figures are made with, and in dark."""

VARIABLES = {light: f"var(--f-{name})" for name, (light, _) in DARK.items()}
"""CSS variables that stand for colours in a page."""
