"""spacedsl export: a model as a file that a runtime loads."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.boundary import emit
from spacedsl.diagnostics import fault
from spacedsl.files import write_atomic
from spacedsl.ir.subnet import Subnet

if TYPE_CHECKING:
    from spacedsl.compiler.retarget import Difference


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
    report_difference: bool = typer.Option(
        False, "--report-difference", help="Allow a target with other 8-bit tensors; measure it."
    ),
    images: Path | None = typer.Option(
        None, "--images", help="Preprocessed images for that (.npy, float32 NCHW); else random."
    ),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Export a model for deployment. Without --weights they are random: good for
    measuring speed and size, not for predictions."""
    from spacedsl.compiler.export import FILES, comparison_images, seeded, trained_model
    from spacedsl.targets.machine import this_machine

    files = FILES[artifact.value]
    files.need()
    subnet = api.load(model)
    if not isinstance(subnet, Subnet):
        help = "`spacedsl sample` draws models of a space"
        raise fault("wrong-kind", f"{model} is not a model", help)
    if not out.absolute().parent.is_dir():
        raise fault("cannot-write", f"cannot write {out}: {out.parent} is not a directory")
    device = api.load_target(target) if target else None
    if weights is not None and fp32:
        raise fault("bad-option", f"{weights} holds integers: --fp32 cannot be made of it")
    if report_difference and (weights is None or device is None):
        raise fault("bad-option", "--report-difference needs --weights and --target")
    if images is not None and not report_difference:
        raise fault("bad-option", "--images is for --report-difference")
    found = None
    if weights is not None:
        compare = comparison_images(subnet, images, seed) if report_difference else None
        trained = trained_model(subnet, weights, artifact.value, device, compare)
        found, data = trained.difference, files.integers(trained.model)
    else:
        net = seeded(subnet, seed)
        data = files.fp32(net) if fp32 else files.int8(net, device)
    write_atomic(out, data)
    kind = "FP32" if fp32 else "INT8"
    warnings = () if fp32 else this_machine().warnings
    if json:
        emit(
            {
                "file": str(out),
                "model": subnet.name,
                "format": artifact.value,
                "precision": kind.lower(),
                "bytes": len(data),
                "weights": None if weights is None else str(weights),
                "difference": None if found is None else found.model_dump(mode="json"),
                "warnings": list(warnings),
            }
        )
        return
    known = "untrained" if weights is None else f"weights of {weights}"
    print(f"{out}: {subnet.name}, {kind} {artifact.value}, {len(data) / 1e6:.1f} MB, {known}")
    if report_difference:
        print(_said(found))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _said(found: Difference | None) -> str:
    if found is None:
        return "the target keeps the same tensors in 8 bits: no difference"
    return (
        f"trained for {found.trained_for}, exported for {found.exported_for}: "
        f"{len(found.calibrated)} tensors calibrated; of {found.images} images "
        f"{found.argmax_agreement:.1%} have the same largest logit; logits differ by "
        f"{found.mean_logit_difference:.3g} on average, {found.max_logit_difference:.3g} at most "
        f"(their standard deviation is {found.logit_deviation:.3g})"
    )
