"""The colours of pictures and reports, told apart by colour-blind people too (Okabe and Ito's)."""

from __future__ import annotations

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#707780",
)  # fmt: skip
"""Blue, vermilion, green, purple, orange, sky blue, yellow, grey: in the order of their use."""

ON_DARK = (
    "#2F93D6", "#F0752A", "#12B886", "#DD93BC", "#F0AE27", "#8CCBF2", "#F3E96B", "#9AA2AD",
)  # fmt: skip
"""The same, lighter, for a dark background."""

GREY = len(COLOURS) - 1
"""The place of what is no series of its own."""
