"""spacedsl import timm:NAME: a network with its weights as a page and a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from spacedsl.cli.boundary import Format, emit
from spacedsl.cli.summary import command, say_next
from spacedsl.cli.words import wrapped
from spacedsl.diagnostics import fault
from spacedsl.flows.foreign import import_timm
from spacedsl.passes.cost import subnet_cost
from spacedsl.syntax.lexer import is_name

TIMM = "timm:"


class Network(NamedTuple):
    """What is asked for: a network by timm's name, where its weights are from, its resolution, and
    the name of its model."""

    name: str
    weights: Path | None
    pretrained: bool
    seed: int | None
    at: int | None
    item: str | None


def import_network(asked: Network, out: Path | None, format: Format) -> None:
    """Write page and checkpoint, and say what they are. Raises `SpaceError`."""
    if out is None:
        message = f"timm:{asked.name} has weights, which need a file beside the page"
        raise fault("missing-option", message, "say where: --out NAME.space")
    said = [asked.weights is not None, asked.pretrained, asked.seed is not None]
    if sum(said) > 1:
        message = "--weights, --pretrained and --seed each say where weights are from"
        raise fault("bad-option", message, "say one of them")
    if asked.item is not None and not is_name(asked.item):
        message = f"--name {asked.item[:40]!r} cannot be a name"
        help = "names have letters, digits, _ and -, and are no words of the language: --name net"
        raise fault("bad-option", message, help)
    found = import_timm(
        asked.name,
        out,
        weights=asked.weights,
        pretrained=asked.pretrained,
        seed=asked.seed or 0,
        resolution=asked.at,
        item=asked.item,
    )
    model, cost = found.model, subnet_cost(found.model)
    then = command("export", f"{out}#{model.name}", "--checkpoint", found.checkpoint)
    then += f" --calibrate imagefolder:PHOTOS --out {model.name}.onnx"
    if format is Format.json:
        emit(
            {
                "text": found.text,
                "page": str(found.page),
                "checkpoint": str(found.checkpoint),
                "model": model.name,
                "weights_from": found.weights_from,
                "largest_difference": found.differs,
                "largest_logit": found.largest,
                "next": then,
            }
        )
        return
    size = f"{cost.flops / 1e6:,.0f}M multiply-accumulates, {cost.params / 1e6:.2f}M parameters"
    print(f"{found.page}: {model.name} at {model.resolution}, {size}")
    share = found.differs / found.largest if found.largest else 0.0
    print(wrapped(f"{found.checkpoint}: {found.weights_from}"))
    print(wrapped(f"checked: its logits are timm's, within {share:.0e} of the largest"))
    say_next(then)
