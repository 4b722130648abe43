"""A model's page to an artifact's bytes: weights from a seed, or those of an integer model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from spacedsl.compiler.calibrate import by_litert, by_onnx, calibrated_model
from spacedsl.compiler.int8 import quantise_graph
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
from spacedsl.compiler.tflite_build import need_litert
from spacedsl.compiler.tflite_fp32 import emit_fp32 as tflite_fp32
from spacedsl.compiler.tflite_int8 import emit_int8 as tflite_int8
from spacedsl.diagnostics import fault
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.passes.network import subnet_identity
from spacedsl.targets.rules import LITERT, ONNXRUNTIME, RUNTIMES, Rules, rules_of

CALIBRATION_IMAGES = 1


class Seeded(NamedTuple):
    """A network with random weights and random images (N, C, H, W) to calibrate with."""

    plan: NetworkPlan
    parameters: Parameters
    preprocess: Preprocess
    images: Floats
    weights_from: str


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
    net: Seeded, rules: Rules = ONNXRUNTIME, target: Target | None = None
) -> IntegerModel:
    """The network in integers for a runtime, which also calibrates it. Raises `SpaceError`."""
    plan = int8_plan(net.plan, rules, target)
    observe = by_litert if rules.runtime == LITERT.runtime else by_onnx
    return calibrated_model(
        net.plan, plan, net.parameters, net.preprocess, net.images, net.weights_from, observe
    )


def int8_onnx(net: Seeded, target: Target | None = None) -> bytes:
    """The INT8 ONNX file, checked. Raises `SpaceError`, also for a target that runs no ONNX."""
    need_onnx()
    return check(onnx_int8(integer_model(net, _rules("onnx", target), target)))


def int8_tflite(net: Seeded, target: Target | None = None) -> bytes:
    """The INT8 TFLite file. Raises `SpaceError`, also for a target that runs no TFLite."""
    need_litert()
    return tflite_int8(integer_model(net, _rules("tflite", target), target))


def trained_onnx(subnet: Subnet, weights: Path, target: Target | None = None) -> bytes:
    """The INT8 ONNX file of a trained integer model, checked. Raises `SpaceError` where it is
    another model's, or was trained for other 8-bit tensors than the target's."""
    need_onnx()
    return check(onnx_int8(_trained(subnet, weights, "onnx", target)))


def trained_tflite(subnet: Subnet, weights: Path, target: Target | None = None) -> bytes:
    """The INT8 TFLite file of a trained integer model. Raises `SpaceError` as `trained_onnx`."""
    need_litert()
    return tflite_int8(_trained(subnet, weights, "tflite", target))


def fp32_onnx(net: Seeded) -> bytes:
    """The FP32 ONNX file, checked. Raises `SpaceError`."""
    need_onnx()
    return check(onnx_fp32(net.plan, net.parameters, net.preprocess, net.weights_from))


def fp32_tflite(net: Seeded) -> bytes:
    """The FP32 TFLite file. Raises `SpaceError`."""
    need_litert()
    return tflite_fp32(net.plan, net.parameters, net.preprocess, net.weights_from)


class Emit(NamedTuple):
    """How files of one format are made: `need` raises `SpaceError` where its extra is missing."""

    need: Callable[[], None]
    int8: Callable[[Seeded, Target | None], bytes]
    fp32: Callable[[Seeded], bytes]
    trained: Callable[[Subnet, Path, Target | None], bytes]


FILES = {
    "onnx": Emit(need_onnx, int8_onnx, fp32_onnx, trained_onnx),
    "tflite": Emit(need_litert, int8_tflite, fp32_tflite, trained_tflite),
}
"""Format, which is also the file's suffix -> how it is made."""


def _rules(format: str, target: Target | None) -> Rules:
    """A target's rules, or those of the runtime that reads `format`. Raises `SpaceError` for a
    target that does not read it."""
    usual = next(rules for rules in RUNTIMES if format in rules.formats)
    if target is None:
        return usual
    rules = rules_of(target)
    if format not in rules.formats:
        raise fault(
            "wrong-target",
            f"target `{target.name}` runs {rules.runtime} ({target.device}), the format {format} "
            f"is for {usual.runtime}",
            f"choose a target that runs {usual.runtime}, --format {rules.formats[0]}, or leave "
            "--target out",
        )
    return rules


def _trained(subnet: Subnet, weights: Path, format: str, target: Target | None) -> IntegerModel:
    model = load_model(weights)
    origin, asked = model.header.plan.origin, subnet_identity(subnet)
    if origin.hash != asked:
        raise fault(
            "wrong-hash",
            f"{weights} holds the weights of {origin.model} ({origin.hash[:16]}), "
            f"not of {subnet.name} ({asked[:16]})",
        )
    trained_for = model.header.plan.rules
    if target is None and format in trained_for.formats:
        return model
    rules = _rules(format, target)
    return model if rules == trained_for else for_runtime(model, rules, target)


def for_runtime(model: IntegerModel, rules: Rules, target: Target | None = None) -> IntegerModel:
    """The same integers under another runtime's rules. Raises `SpaceError` where that runtime
    keeps other tensors in 8 bits."""
    old = model.header.plan
    graph = quantise_graph(old.network, rules)
    if graph.nodes != old.graph.nodes:
        asked = f"target `{target.name}` ({rules.runtime})" if target else rules.runtime
        raise fault(
            "wrong-target",
            f"{asked} keeps other tensors in 8 bits than the weights were trained with "
            f"({old.rules.runtime})",
            "train for this target",
        )
    name = target.name if target else ""
    plan = old.model_copy(update={"rules": rules, "graph": graph, "target": name})
    header = model.header.model_copy(update={"plan": plan})
    return IntegerModel(header, model.weights)
