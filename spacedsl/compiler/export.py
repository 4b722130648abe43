"""A model's page to an artifact's bytes: weights from a seed, or those of an integer model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from spacedsl.compiler.calibrate import Observe, calibrated_model
from spacedsl.compiler.integer_model import (
    IntegerModel,
    Preprocess,
    load_model,
    preprocess_for,
)
from spacedsl.compiler.onnx_build import check, need_onnx
from spacedsl.compiler.onnx_fp32 import emit_fp32 as onnx_fp32
from spacedsl.compiler.onnx_int8 import emit_int8 as onnx_int8
from spacedsl.compiler.parameters import Floats, Parameters, images, random_parameters
from spacedsl.compiler.plans import NetworkPlan, int8_plan, network_plan
from spacedsl.compiler.retarget import Difference, difference, load_images, moved, restamped
from spacedsl.compiler.stamps import onnx_stamp, tflite_stamp
from spacedsl.compiler.tflite_build import need_litert
from spacedsl.compiler.tflite_fp32 import emit_fp32 as tflite_fp32
from spacedsl.compiler.tflite_int8 import emit_int8 as tflite_int8
from spacedsl.diagnostics import fault
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.passes.network import subnet_identity
from spacedsl.runtimes.rules import Rules
from spacedsl.runtimes.table import ONNXRUNTIME, listed, named, need, readers, rules_of

CALIBRATION_IMAGES = 1
COMPARED_IMAGES = 8


class Seeded(NamedTuple):
    """A network with its weights, random or trained, images (N, C, H, W) to calibrate with, and the
    names of its classes where they are known."""

    plan: NetworkPlan
    parameters: Parameters
    preprocess: Preprocess
    images: Floats
    weights_from: str
    labels: tuple[str, ...] = ()


def seeded(subnet: Subnet, seed: int) -> Seeded:
    """A model with the weights of `seed`. Raises `BindError`."""
    plan = network_plan(subnet)
    return Seeded(
        plan,
        random_parameters(plan.graph, seed),
        preprocess_for(subnet.of.channels),
        images(plan.graph.input, CALIBRATION_IMAGES, seed),
        f"seed {seed}, untrained",
    )


def integer_model(
    net: Seeded, rules: Rules = ONNXRUNTIME.rules, target: Target | None = None
) -> IntegerModel:
    """The network in integers for a runtime, which also calibrates it. Raises `SpaceError`."""
    plan, runtime = int8_plan(net.plan, rules, target), named(rules.runtime)
    need(runtime)

    def watch(names: Sequence[str]) -> Observe:
        return runtime.sessions.tensors(FILES[runtime.format].fp32(net, names), names)

    return calibrated_model(
        plan, net.parameters, net.preprocess, net.images, net.weights_from, watch, net.labels
    )


def int8_onnx(net: Seeded, target: Target | None = None) -> bytes:
    """The INT8 ONNX file, checked. Raises `SpaceError`, also for a target that runs no ONNX."""
    return integer_onnx(integer_model(net, _rules("onnx", target), target))


def int8_tflite(net: Seeded, target: Target | None = None) -> bytes:
    """The INT8 TFLite file. Raises `SpaceError`, also for a target that runs no TFLite."""
    return integer_tflite(integer_model(net, _rules("tflite", target), target))


def integer_onnx(model: IntegerModel) -> bytes:
    """The INT8 ONNX file of an integer model, checked. Raises `SpaceError` where its runtime reads
    no ONNX."""
    need_onnx()
    return check(onnx_int8(model))


def integer_tflite(model: IntegerModel) -> bytes:
    """The INT8 TFLite file of an integer model. Raises `SpaceError` where its runtime reads no
    TFLite."""
    need_litert()
    return tflite_int8(model)


def fp32_onnx(net: Seeded, outputs: Sequence[str] = ()) -> bytes:
    """The FP32 ONNX file, checked; with these tensors as `outputs` too, whose shapes it does not
    say, it is not. Raises `SpaceError`."""
    need_onnx()
    model = onnx_fp32(net.plan, net.parameters, net.preprocess, net.weights_from, outputs=outputs)
    return bytes(model.SerializeToString()) if outputs else check(model)


def fp32_tflite(net: Seeded, outputs: Sequence[str] = ()) -> bytes:
    """The FP32 TFLite file, with these tensors as `outputs` too. Raises `SpaceError`."""
    need_litert()
    return tflite_fp32(net.plan, net.parameters, net.preprocess, net.weights_from, outputs=outputs)


class Fp32(Protocol):
    """A network's FP32 file, with these tensors as `outputs` too."""

    def __call__(self, net: Seeded, outputs: Sequence[str] = ()) -> bytes:
        """Raises `SpaceError`."""


class Emit(NamedTuple):
    """How files of one format are made and read back: `need` raises `SpaceError` where its extra is
    missing; `stamp` is what a file of this content and name says of itself."""

    need: Callable[[], None]
    int8: Callable[[Seeded, Target | None], bytes]
    fp32: Fp32
    integers: Callable[[IntegerModel], bytes]
    stamp: Callable[[bytes, str], dict[str, str]]


FILES = {
    "onnx": Emit(need_onnx, int8_onnx, fp32_onnx, integer_onnx, onnx_stamp),
    "tflite": Emit(need_litert, int8_tflite, fp32_tflite, integer_tflite, tflite_stamp),
}
"""Format, which is also the file's suffix -> how it is made and read."""


def _rules(format: str, target: Target | None) -> Rules:
    """A target's rules, or those of the runtime that reads `format`. Raises `SpaceError` for a
    target that does not read it."""
    usual = readers(format)
    if target is None:
        return usual[0].rules
    rules = rules_of(target)
    if format not in rules.formats:
        raise fault(
            "wrong-target",
            f"target `{target.name}` runs {rules.runtime} ({target.device}), the format {format} "
            f"is for {listed(usual)}",
            f"choose a target that runs {listed(usual)}, --format {rules.formats[0]}, or leave "
            "--target out",
        )
    return rules


def comparison_images(subnet: Subnet, path: Path | None, seed: int) -> Floats:
    """Images (N, C, R, R) to compare two integer models on: those of a file, or random ones. Raises
    `SpaceError`."""
    node = network_plan(subnet).graph.input
    return images(node, COMPARED_IMAGES, seed) if path is None else load_images(path, node.shape)


class Trained(NamedTuple):
    """A trained integer model for a target; `difference` where its 8-bit tensors are others than
    those it was trained with."""

    model: IntegerModel
    difference: Difference | None = None


def trained_model(
    subnet: Subnet,
    weights: Path,
    format: str,
    target: Target | None = None,
    compare: Floats | None = None,
) -> Trained:
    """A model's trained weights from a file, for a target or else for whatever reads `format`.
    Raises `SpaceError` where they are another model's, or were trained for other 8-bit tensors and
    there are no images (N, C, H, W) to `compare` the two on."""
    model = load_model(weights)
    origin, asked = model.header.plan.origin, subnet_identity(subnet)
    if origin.hash != asked:
        raise fault(
            "wrong-hash",
            f"{weights} holds the weights of {origin.model} ({origin.hash[:16]}), "
            f"not of {subnet.name} ({asked[:16]})",
        )
    trained_for = model.header.plan
    if target is None and format in trained_for.rules.formats:
        return Trained(model)
    rules = _rules(format, target)
    same = restamped(model, rules, target)
    if same is not None:
        return Trained(same)
    if compare is None:
        who = f"target `{target.name}` ({rules.runtime})" if target else rules.runtime
        raise fault(
            "wrong-target",
            f"{who} keeps other tensors in 8 bits than {weights} was trained with "
            f"({trained_for.target or 'no target'}, {trained_for.rules.runtime})",
            "train for this target, leave --target out, or see what it costs: --report-difference",
        )
    found = moved(model, rules, target, compare)
    return Trained(found.model, difference(model, found, compare))
