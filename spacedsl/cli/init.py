"""spacedsl init: a hyperspace to begin with, for a device and for images."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from spacedsl import api
from spacedsl.cli.summary import command, say_next
from spacedsl.diagnostics import fault
from spacedsl.files import check_writable, write_atomic
from spacedsl.ir.target import Target
from spacedsl.syntax.lexer import is_name

TARGET, IMAGE, CLASSES = "cpu", 224, 1000
"""What the questions propose."""

LEAST, MOST = 32, 1024
"""Pixels of an image."""

MOST_CLASSES = 1_000_000

QUALITY = "hyper"
"""The shipped table that knows the block types of `PAGE`."""

MAPS = 4
"""Pixels of the last stage's maps at least."""

PAGE = """language 1
use "std/blocks.space"

# {classes:,} classes, for {device}.
# Block types, widths and depths are those of the SpaceEvo paper's hyperspaces. A search chooses a
# block type and a window of consecutive widths for every elastic stage.
hyperspace {name} {{
  input {channels} x {resolutions}
{quality}  blocks {{
    mbv1-dual {{ kernel 3, 5 }}
    mbv2 {{ kernel 3, 5  expand 4, 6, 8 }}
    mbv3 {{ kernel 3, 5  expand 4, 6, 8 }}
    bottleneck {{ kernel 3, 5, 7  expand 0.5, 1, 1.5 }}
    bottleneck-se {{ kernel 3, 5, 7  expand 0.5, 1, 1.5 }}
    fused {{ kernel 3, 5, 7  expand 1..4 }}
    fused-se {{ kernel 3, 5, 7  expand 1..4 }}
  }}
  stem {{ conv 3x3 relu strided  width 16, 32{0} }}
  stage0 {{ bottleneck {{ kernel 3  expand 0.5 }}  width 16, 32  depth 1..2 }}
  elastic stage1 {{ width 32..64 step 16  window 2  depth 2..4{1} }}
  elastic stage2 {{ width 32..96 step 16  window 2  depth 2..4{2} }}
  elastic stage3 {{ width 64..144 step 16  window 3  depth 2..6{3} }}
  elastic stage4 {{ width 112..192 step 16  window 3  depth 2..6 }}
  elastic stage5 {{ width 192..304 step 16  window 5  depth 2..6{4} }}
  elastic stage6 {{ width 304..448 step 16  window 7  depth 1..2 }}
  head {{ {head}  linear -> {classes} }}
}}
"""

HEAD = "conv 1x1 -> 1280 hswish  pool  conv 1x1 -> 1920 hswish  dropout 0.2"

HALVINGS = 5
"""Places in `PAGE` that halve the maps, the first where the image is large enough for all."""


def init(
    out: Path = typer.Option(Path("mine.space"), "--out", help="The page to write."),
    target: str | None = typer.Option(
        None, "--target", help="The device: cpu, litert, vnni, pixel4 or a page."
    ),
    image: int | None = typer.Option(
        None, "--image", min=LEAST, max=MOST, help="Height and width of the largest image, pixels."
    ),
    classes: int | None = typer.Option(
        None, "--classes", min=2, max=MOST_CLASSES, help="How many classes."
    ),
    channels: int = typer.Option(3, "--channels", min=1, max=1024, help="Channels of an image."),
) -> None:
    """Write a hyperspace for your device and your images, to search or to edit. Asks for what no
    option says."""
    from spacedsl.tables.files import load_quality

    check_writable(out)
    if out.exists():
        raise fault(
            "cannot-write", f"{out} is there already", "name another file by --out, or remove it"
        )
    asked = {"--target": target, "--image": image, "--classes": classes}
    missing = [name for name, value in asked.items() if value is None]
    if missing and not sys.stdin.isatty():
        message = f"{', '.join(missing)}: not said, and there is no terminal to ask on"
        usual = f"--target {TARGET} --image {IMAGE} --classes {CLASSES}"
        raise fault("missing-option", message, f"say all three, such as {usual}")
    if target is None:
        print("Devices: cpu (this machine, ONNX Runtime), litert (this machine, LiteRT), vnni (an")
        print("Intel server), pixel4 (a phone), or a page of your own.")
        target = str(typer.prompt("Which device", default=TARGET))
    device = api.load_target(target)
    image = image or _number("Pixels of the largest image", IMAGE, LEAST, MOST)
    classes = classes or _number("How many classes", CLASSES, 2, MOST_CLASSES)
    resolutions = _resolutions(image)
    known = load_quality(QUALITY).resolutions
    quality = QUALITY if all(known[0] <= r <= known[-1] for r in resolutions) else ""
    write_atomic(out, page(_name(out), device, resolutions, classes, channels, quality))
    print(f"{out}: a hyperspace for {device.name}, images of up to {image} px, {classes:,} classes")
    if quality:
        say_next(command("evolve", "--hyper", out, "--target", target, "--out", "found.space"))
        return
    print(f"The published losses are of images of {known[0]} to {known[-1]} px: measure yours.")
    where = ("--target", target, "--out", "losses")
    photos = ("--data", "photos:PHOTOS", "--teacher", "lite0")
    say_next(command("distill", "--hyper", out, *photos, *where))


def _number(question: str, proposed: int, least: int, most: int) -> int:
    """The answer of whoever sits there, asked until it is a number from `least` to `most`."""
    while True:
        answer = int(typer.prompt(question, default=proposed, type=int))
        if least <= answer <= most:
            return answer
        print(f"That is a number from {least:,} to {most:,}.")


def _resolutions(image: int) -> range:
    """Heights of images from about .7 times the largest on, in pixels."""
    step = 32 if image >= 128 else 16 if image >= 64 else 8
    return range(image - int(0.3 * image / step) * step, image + 1, step)


def page(
    name: str, target: Target, resolutions: range, classes: int, channels: int, quality: str
) -> str:
    """The text of a hyperspace. Small images are halved less often, so that the last maps have
    `MAPS` pixels. `quality`: the table it names, "" for none."""
    least, most = resolutions[0], resolutions[-1]
    halved = next((n for n in range(HALVINGS, 0, -1) if most // 2**n >= MAPS), 1)
    strides = [""] * (HALVINGS - halved) + ["  stride 2"] * halved
    several = f"{least}..{most} step {resolutions.step}"
    return PAGE.format(
        *strides,
        name=name,
        device=target.device or target.name,
        resolutions=several if least < most else most,
        head=HEAD,
        classes=classes,
        channels=channels,
        quality=f'  quality "{quality}"\n' if quality else "",
    )


def _name(out: Path) -> str:
    """The hyperspace is called after its file, where that is a name."""
    return out.stem if is_name(out.stem) else "mine"
