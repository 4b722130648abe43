"""Draw the pictures of docs/concepts.md, as SVG on a light card that dark pages show too.

python scripts/pictures.py
"""

from __future__ import annotations

import random
from math import log
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"

INK, FAINT, CARD = "#1f2937", "#6b7280", "#f8fafc"
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#cbd5e1"
"""Of Okabe and Ito's palette, which the colour-blind tell apart."""


def text(
    x: float, y: float, words: str, size: int = 14, anchor: str = "middle", ink: str = INK
) -> str:
    """Words at a point."""
    place = f'x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text {place} fill="{ink}">{words}</text>'


def box(
    x: float, y: float, w: float, h: float, fill: str, stroke: str = "none", dash: str = ""
) -> str:
    """A rectangle with round corners."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="5" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="2"{dashed}/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float, ink: str = FAINT) -> str:
    """A line with a head."""
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{ink}" stroke-width="2" '
        'marker-end="url(#head)"/>'
    )


def curve(points: list[tuple[float, float]], ink: str) -> str:
    """A line through points."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{ink}" stroke-width="2.5"/>'


def labelled(x: float, y: float, w: float, h: float, words: list[str], fill: str) -> list[str]:
    """A coloured box with white words in its middle."""
    middle = y + h / 2 + 5 - 9 * (len(words) - 1)
    lines = [text(x + w / 2, middle + 18 * i, line, 14, ink="#fff") for i, line in enumerate(words)]
    return [box(x, y, w, h, fill), *lines]


def picture(title: str, width: int, height: int, parts: list[str]) -> str:
    """A whole file."""
    head = (
        f'<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0 8 4 0 8z" fill="{FAINT}"/></marker>'
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" font-family="sans-serif">',
            f"<title>{title}</title><defs>{head}</defs>",
            f'<rect width="{width}" height="{height}" rx="10" fill="{CARD}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def way() -> str:
    steps = [
        (["page", "text"], BLUE),
        (["search", "for a device"], GREEN),
        (["supernet", "your images"], GREEN),
        (["network", "a page again"], BLUE),
        (["INT8 file", "ONNX, TFLite"], ORANGE),
    ]
    parts: list[str] = []
    for i, (words, fill) in enumerate(steps):
        parts += labelled(20 + 150 * i, 25, 120, 60, words, fill)
        if i:
            parts.append(arrow(20 + 150 * i - 28, 55, 20 + 150 * i - 3, 55))
    return picture("From a page to a file", 760, 110, parts)


def sets() -> str:
    parts = [
        box(20, 20, 620, 190, "none", FAINT),
        text(40, 46, "hyperspace: a set of spaces", 15, "start"),
    ]
    for i in range(3):
        x = 45 + 195 * i
        chosen = i == 1
        parts.append(box(x, 65, 180, 125, "#fff", GREEN if chosen else GREY))
        words = "space: the one found" if chosen else "space"
        parts.append(text(x + 90, 87, words, 14))
        for j in range(15):
            cx, cy = x + 25 + 32 * (j % 5), 110 + 26 * (j // 5)
            best = chosen and j == 8
            parts.append(f'<circle cx="{cx}" cy="{cy}" r="8" fill="{ORANGE if best else GREY}"/>')
    parts.append(
        text(330, 235, "Each circle is a network, a model page. One is deployed.", 13, ink=FAINT)
    )
    return picture("A hyperspace holds spaces, a space holds networks", 660, 250, parts)


def supernet() -> str:
    parts: list[str] = []
    for i, (name, used) in enumerate((("largest subnet", 6), ("a random one", 4), ("smallest", 2))):
        x = 30 + 210 * i
        parts.append(text(x + 80, 30, name))
        for layer in range(3):
            for channel in range(6):
                on = channel < used and (layer < 2 or used > 2)
                parts.append(box(x + 28 * channel, 45 + 45 * layer, 22, 32, BLUE if on else GREY))
    parts.append(
        text(
            330,
            205,
            "One set of weights: smaller networks use the first channels and fewer layers.",
            13,
            ink=FAINT,
        )
    )
    return picture("A supernet and three of its subnets", 660, 220, parts)


def stage() -> str:
    parts: list[str] = []
    for row, (name, count) in enumerate((("depth 2", 2), ("depth 3", 3))):
        y = 45 + 80 * row
        parts.append(text(60, y + 30, name))
        left = 120.0
        for i in range(count):
            width = (60, 90)[(i + row) % 2]
            parts += labelled(left, y, width, 48, [f"{width // 30 * 16}"], BLUE if i else ORANGE)
            if i + 1 < count:
                parts.append(arrow(left + width + 3, y + 24, left + width + 41, y + 24))
            left += width + 45
    parts.append(text(330, 27, "elastic stage1 { mbv2  width 32, 48  depth 2..3  stride 2 }", 14))
    note = "The first block (orange) halves the image. Width and depth are chosen for each network."
    parts.append(text(330, 205, note, 13, ink=FAINT))
    return picture("An elastic stage, twice", 660, 220, parts)


def nsr() -> str:
    teacher = [(40 + 14 * i, 90 - 40 * ((i * 37) % 11 - 5) / 5) for i in range(20)]
    student = [(x, y + 9 * ((i * 13) % 7 - 3) / 3) for i, (x, y) in enumerate(teacher)]
    parts = [curve(teacher, BLUE), curve(student, ORANGE), text(170, 160, "what a stage gives")]
    parts += [text(80, 30, "teacher", ink=BLUE), text(160, 30, "student", ink=ORANGE)]
    parts += [
        text(500, 62, "mean squared difference", 15),
        text(500, 100, "variance of the teacher", 15),
    ]
    parts += ['<line x1="400" y1="76" x2="600" y2="76" stroke="#1f2937" stroke-width="2"/>']
    parts += [
        text(365, 81, "NSR =", 15),
        text(500, 140, "0: the same; 1: no better than the mean", 13, ink=FAINT),
    ]
    return picture("Noise-to-signal ratio", 660, 180, parts)


def scores() -> str:
    parts = ['<path d="M60 20V180H420" fill="none" stroke="#1f2937" stroke-width="2"/>']
    parts += [
        text(240, 210, "latency, ms"),
        '<g transform="rotate(-90 30 100)">',
        text(30, 100, "accuracy"),
        "</g>",
    ]
    rng = random.Random(3)
    across = [rng.uniform(75, 405) for _ in range(110)]
    dots = [(x, 150 - 45 * log(x / 60) + abs(rng.gauss(0, 14))) for x in across]
    parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{GREY}"/>' for x, y in dots]
    for limit in (180, 300):
        x, y = min((d for d in dots if d[0] <= limit), key=lambda d: d[1])
        parts.append(f'<path d="M{limit} 20V180" stroke="{FAINT}" stroke-dasharray="5 4"/>')
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="7" fill="{ORANGE}"/>')
    parts += [text(300, 16, "limits", 12, ink=FAINT)]
    parts += labelled(450, 40, 190, 26, ["best: the orange networks"], ORANGE)
    parts += labelled(450, 110, 190, 26, ["Q-T: best 20 of 5,000"], FAINT)
    parts += [
        text(545, 88, "summed over the limits", 13),
        text(545, 158, "random ones, mean 1/loss", 13),
    ]
    return picture("Two scores of a space", 660, 225, parts)


def bkd() -> str:
    parts = [text(70, 60, "teacher"), text(70, 150, "one block type")]
    for i in range(4):
        parts += labelled(140 + 125 * i, 35, 90, 40, [f"stage {i}"], BLUE)
        if i:
            parts.append(arrow(140 + 125 * i - 33, 55, 140 + 125 * i - 3, 55))
    parts += labelled(390, 125, 90, 40, ["stage 2"], ORANGE)
    parts += [
        arrow(372, 60, 400, 122),
        arrow(470, 122, 492, 62),
        text(560, 115, "must give the same", 13),
    ]
    parts += [text(310, 115, "gets the same", 13)]
    parts.append(
        text(
            330, 200, "Each stage and block type is trained alone: many short jobs.", 13, ink=FAINT
        )
    )
    return picture("Block-wise distillation", 660, 215, parts)


def lsq() -> str:
    parts = ['<path d="M40 170H330M185 20V185" fill="none" stroke="#94a3b8" stroke-width="1.5"/>']
    steps = [(40.0, 160.0), (70.0, 160.0)]
    for i in range(8):
        steps += [(70.0 + 29 * i, 142.0 - 17 * i), (70.0 + 29 * (i + 1), 142.0 - 17 * i)]
    steps += [(330.0, 23.0)]
    parts += [curve([(45, 165), (325, 12)], GREY), curve(steps, ORANGE)]
    parts += [text(500, 45, "real value = scale x (integer - zero point)", 14)]
    parts += [text(500, 85, "scale: the width of a step", 14, ink=ORANGE)]
    parts += [text(500, 110, "zero point: the integer that means 0", 14, ink=ORANGE)]
    parts += [
        text(500, 150, "LSQ+ learns both in training,", 13, ink=FAINT),
        text(500, 170, "together with the weights", 13, ink=FAINT),
    ]
    return picture("A quantiser", 680, 200, parts)


PICTURES = {
    "way": way, "sets": sets, "supernet": supernet, "stage": stage,
    "nsr": nsr, "scores": scores, "bkd": bkd, "lsq": lsq,
}  # fmt: skip
"""Name of the file -> what draws it."""


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")
