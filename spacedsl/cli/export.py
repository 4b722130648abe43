"""spacedsl export: a model as a file that a runtime loads."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.boundary import emit
from spacedsl.cli.summary import command, say_next
from spacedsl.cli.watch import Terminal
from spacedsl.cli.words import wrapped
from spacedsl.compiler.graph import LOGITS
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.files import check_writable, write_atomic
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target

if TYPE_CHECKING:
    from spacedsl.compiler.retarget import Difference
    from spacedsl.flows.calibrate import Agreement
    from spacedsl.targets.runtimes_there import RuntimeThere


class Said(StrEnum):
    """What `--format` means here: the file's format, and how the command prints what it did."""

    onnx = "onnx"
    tflite = "tflite"
    text = "text"
    json = "json"


PRINTED = (Said.text, Said.json)


def export(
    model: str = typer.Argument(..., help="A model: a page, PAGE#ITEM, or a library name."),
    out: Path = typer.Option(..., "--out", help="The file to write."),
    format: list[Said] | None = typer.Option(
        None,
        "--format",
        help="The file's format (onnx, tflite), else by the ending of --out; json: print JSON.",
    ),
    fp32: bool = typer.Option(False, "--fp32", help="The float network instead of INT8."),
    target: str | None = typer.Option(None, "--target", help="Use this target's rules."),
    weights: Path | None = typer.Option(
        None, "--weights", help="A trained integer model (.npz); else weights are random."
    ),
    checkpoint: Path | None = typer.Option(
        None, "--checkpoint", help="FP32 weights, of `import timm:NAME` or of `train`."
    ),
    calibrate: str | None = typer.Option(
        None, "--calibrate", help="Data whose images give the 8-bit ranges of --checkpoint."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the weights (no checkpoint)."),
    report_difference: bool = typer.Option(
        False, "--report-difference", help="Allow a target with other 8-bit tensors; measure it."
    ),
    card: Path | None = typer.Option(
        None, "--card", help="Write a model card too (Markdown): what it is, how an app runs it."
    ),
    images: Path | None = typer.Option(
        None, "--images", help="Preprocessed images for that (.npy, float32 NCHW); else random."
    ),
) -> None:
    """Export a model for deployment: with an integer model of training (--weights), or with FP32
    weights (--checkpoint) rounded to 8 bits, in ranges that tensors have on images (--calibrate).
    Without either, weights are random: good for measuring speed and size, not for predictions."""
    from spacedsl.compiler.export import FILES, comparison_images
    from spacedsl.flows.export import build
    from spacedsl.runtimes.machine import this_machine
    from spacedsl.targets.runtimes_there import compared

    check_writable(out)
    if card is not None:
        check_writable(card)
    artifact = _artifact(format or [], out)
    FILES[artifact].need()
    subnet = api.load_one(model, "model")
    if not isinstance(subnet, Subnet):
        help = "`spacedsl sample` draws models of a space"
        raise fault("wrong-kind", f"{model} is not a model", help)
    device = api.load_target(target) if target else None
    if weights is not None and fp32:
        raise fault("bad-option", f"{weights} holds integers: --fp32 cannot be made of it")
    _check_checkpoint(checkpoint, calibrate, weights, fp32=fp32)
    _check_difference(report_difference, images, complete=None not in (weights, device))
    compare = comparison_images(subnet, images, seed) if report_difference else None
    built = build(
        subnet,
        artifact,
        device,
        weights=weights,
        checkpoint=checkpoint,
        calibrate=calibrate,
        compare=compare,
        fp32=fp32,
        seed=seed,
    )
    data, found = built.data, built.difference
    stamp = _written(artifact, data, out, card)
    watch = Terminal(quiet=Said.json in (format or ()))
    agreement = built.calibrated.agreement(out, watch) if built.calibrated else None
    kind = "FP32" if fp32 else "INT8"
    warnings = () if fp32 else this_machine().warnings
    there = compared(subnet, device) if device is not None and not fp32 else None
    faster = there.faster if there else None
    then = command("bench", out, *_runtime(device), *(() if fp32 else ("--against", "fp32")))
    if there and there.to_profile:
        then = command("target", "profile", there.to_profile)
    if Said.json in (format or ()):
        runtimes = [there.own, *there.others] if there else []
        emit(
            {
                "file": str(out),
                "model": subnet.name,
                "format": artifact,
                "precision": kind.lower(),
                "bytes": len(data),
                "weights": None if weights is None else str(weights),
                "checkpoint": None if checkpoint is None else str(checkpoint),
                "agreement": None if agreement is None else asdict(agreement),
                "outputs": json.loads(stamp["outputs"]),
                "difference": None if found is None else found.model_dump(mode="json"),
                "warnings": list(warnings),
                "runtimes": [asdict(runtime) for runtime in runtimes],
                "faster": faster.runtime if faster else None,
                "next": then,
            }
        )
        return
    known = f"weights of {weights or checkpoint}" if weights or checkpoint else "untrained"
    said = f"{out}: {subnet.name}, {kind} {artifact}, {len(data) / 1e6:.1f} MB, {known}"
    print(said, *_maps(stamp), sep="\n")
    if report_difference:
        print(_said(found))
    _say_agreement(agreement, calibrate)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if there and faster:
        given = {"--weights": weights, "--checkpoint": checkpoint, "--calibrate": calibrate}
        print(_faster(there.own, faster, model, out, given))
    elif there and there.to_profile:
        said = f"whether {there.to_profile} is faster on that machine is not known"
        print(wrapped(f"{said}: the next command measures it, in some minutes"))
    say_next(then)


def _runtime(target: Target | None) -> tuple[str, ...]:
    """The option of `bench` for a target whose runtime is not the usual one of its format."""
    from spacedsl.runtimes.table import readers, runtime_of

    runtime = runtime_of(target) if target else None
    if runtime is None or runtime == readers(runtime.format)[0]:
        return ()
    return ("--runtime", runtime.name)


def _check_checkpoint(
    checkpoint: Path | None, calibrate: str | None, weights: Path | None, *, fp32: bool
) -> None:
    """Raise `SpaceError` where options do not go together."""
    if checkpoint is None:
        if calibrate is not None:
            help = "write a checkpoint with `spacedsl import timm:NAME` or `spacedsl train`"
            raise fault("bad-option", "--calibrate is for --checkpoint", help)
        return
    if weights is not None:
        raise fault("bad-option", "--weights and --checkpoint each say the weights", "say one")
    if fp32 == (calibrate is not None):
        message = "--fp32 needs no --calibrate" if fp32 else f"{checkpoint} holds FP32 weights"
        help = "leave one out" if fp32 else "say --calibrate DATA for 8 bits, or --fp32"
        raise fault("bad-option" if fp32 else "missing-option", message, help)


def _say_agreement(found: Agreement | None, data: str | None) -> None:
    """What rounding did to a network, where that was compared."""
    if found is None:
        return
    images = f"{counted(found.images, 'image')} of {data}"
    said = f"in 8 bits {found.argmax:.1%} of {images} have the same class"
    said += " as in FP32"
    if found.fp32_top1 is not None and found.int8_top1 is not None:
        said += f"; top-1 is {found.int8_top1:.1%}, in FP32 {found.fp32_top1:.1%}"
    print(wrapped(said))


def _check_difference(asked: bool, images: Path | None, *, complete: bool) -> None:
    """Raise `SpaceError` where an option lacks what it is for."""
    if asked and not complete:
        raise fault("bad-option", "--report-difference needs --weights and --target")
    if images is not None and not asked:
        raise fault("bad-option", "--images is for --report-difference")


def _artifact(said: Sequence[Said], out: Path) -> str:
    """The file's format. Raises `SpaceError` where two are said, by the file's ending too, or by an
    ending of another format."""
    named = {word.value for word in said if word not in PRINTED}
    if len(named) > 1:
        message = "--format names two formats of a file"
        raise fault("bad-option", message, "write one file at a time")
    format = named.pop() if named else ENDINGS.get(out.suffix)
    if format is None:
        message = f"`{out.suffix}` is no ending of a format that is written"
        raise fault("bad-option", message, "end the name in .onnx or .tflite, or say --format")
    if out.suffix and ENDINGS.get(out.suffix, format) != format:
        message = f"{out.name} has the ending of another format than --format {format}"
        raise fault("bad-option", message, f"write --out {out.with_suffix(f'.{format}')}")
    return format


ENDINGS = {".onnx": "onnx", ".tflite": "tflite", "": "onnx"}
"""The format that a file's ending says."""


def _faster(
    own: RuntimeThere, faster: RuntimeThere, model: str, out: Path, given: Mapping[str, object]
) -> str:
    """That another runtime is faster, and the command for its file. `given`: the options that say
    where the weights are from; None: not given."""
    from spacedsl.runtimes.table import named

    other, used = named(faster.runtime), named(own.runtime)
    same = other.format == used.format
    path = out.with_name(f"{out.stem}-{other.name}" if same else out.stem)
    same_weights = (word for pair in given.items() if pair[1] is not None for word in pair)
    words = (model, "--target", faster.target, *same_weights, "--out", f"{path}.{other.format}")
    return (
        f"{other.title} is predicted to be {own.latency_ms / faster.latency_ms:.2f} times as fast "
        f"on that machine: {faster.latency_ms:.3g} ms, {used.title} {own.latency_ms:.3g} ms\n"
        f"  {command('export', *words)}"
    )


def _written(artifact: str, data: bytes, out: Path, card: Path | None) -> dict[str, str]:
    """What the file says of itself, once it and its card are written."""
    from spacedsl.compiler.card import card as model_card
    from spacedsl.compiler.export import FILES

    write_atomic(out, data)
    stamp = FILES[artifact].stamp(data, str(out))
    if card is not None:
        write_atomic(card, model_card(artifact, out, stamp, len(data)))
    return stamp


def _maps(stamp: Mapping[str, str]) -> list[str]:
    """A line about each map that a file gives."""
    return [
        f"  {output['name']:<8} {' x '.join(map(str, output['shape']))}"
        for output in json.loads(stamp["outputs"])
        if output["name"] != LOGITS
    ]


def _said(found: Difference | None) -> str:
    if found is None:
        return "the target keeps the same tensors in 8 bits: no difference"
    same, seen = found.argmax_agreement, counted(found.images, "image")
    differing = f"on {seen} maps differ"
    if same is not None:
        differing = f"of {seen} {same:.1%} have the same largest logit; logits differ"
    return (
        f"trained for {found.trained_for}, exported for {found.exported_for}: "
        f"{counted(len(found.calibrated), 'tensor')} calibrated; {differing} by "
        f"{found.mean_logit_difference:.3g} on average, {found.max_logit_difference:.3g} at most "
        f"(their standard deviation is {found.logit_deviation:.3g})"
    )
