"""spacedsl export: a model as a file that a runtime loads."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path

import typer

from spacedsl import api
from spacedsl.diagnostics import fault
from spacedsl.files import write_atomic
from spacedsl.ir.subnet import Subnet


class Artifact(StrEnum):
    """File formats."""

    onnx = "onnx"
    tflite = "tflite"


def export(
    model: str = typer.Argument(..., help="A model: a page, PAGE#ITEM, or a library name."),
    artifact: Artifact = typer.Option(Artifact.onnx, "--format", help="The file's format."),
    out: Path = typer.Option(..., "--out", help="The file to write."),
    fp32: bool = typer.Option(False, "--fp32", help="The float network instead of INT8."),
    target: str | None = typer.Option(None, "--target", help="Use this target's rules."),
    weights: Path | None = typer.Option(
        None, "--weights", help="A trained integer model (.npz); else weights are random."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the weights (no checkpoint)."),
) -> None:
    """Export a model for deployment. Without --weights they are random: good for
    measuring speed and size, not for predictions."""
    from spacedsl.compiler.export import FILES, seeded
    from spacedsl.targets.machine import this_machine

    emit = FILES[artifact.value]
    emit.need()
    subnet = api.load(model)
    if not isinstance(subnet, Subnet):
        help = "`spacedsl sample` draws models of a space"
        raise fault("wrong-kind", f"{model} is not a model", help)
    if not out.absolute().parent.is_dir():
        raise fault("cannot-write", f"cannot write {out}: {out.parent} is not a directory")
    device = api.load_target(target) if target else None
    if weights is not None and fp32:
        raise fault("bad-option", f"{weights} holds integers: --fp32 cannot be made of it")
    if weights is not None:
        data = emit.trained(subnet, weights, device)
    else:
        net = seeded(subnet, seed)
        data = emit.fp32(net) if fp32 else emit.int8(net, device)
    write_atomic(out, data)
    kind = "FP32" if fp32 else "INT8"
    known = "untrained" if weights is None else f"weights of {weights}"
    print(f"{out}: {subnet.name}, {kind} {artifact.value}, {len(data) / 1e6:.1f} MB, {known}")
    if not fp32:
        for warning in this_machine().warnings:
            print(f"warning: {warning}", file=sys.stderr)
