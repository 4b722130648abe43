"""The runtimes: those of spacedsl, and those that installed packages register.

Help texts, the reference, completion and the errors' lists are read from here. An installed package
registers a `Runtime` by an entry point of the group `spacedsl.runtimes`, whose name is the
runtime's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from importlib import metadata, util
from pathlib import Path

from spacedsl.diagnostics import fault, one_of
from spacedsl.ir.target import Target
from spacedsl.registered import registered
from spacedsl.runtimes.record import Runtime
from spacedsl.runtimes.rules import ACTS, TYPES, Rules

GROUP = "spacedsl.runtimes"

ONNXRUNTIME = Runtime(
    title="ONNX Runtime",
    about="ONNX Runtime on the CPU",
    extra="onnx",
    packages=("onnxruntime", "onnx"),
    module="spacedsl.runtimes.onnxruntime",
    rules=Rules(
        runtime="onnxruntime",
        aliases=("onnx runtime", "onnxruntime"),
        formats=("onnx",),
        acts=ACTS,
        stem="space-to-depth",
        depthwise_multiple=16,
        dense_outputs=16,
    ),
    optional={
        "saturating-hswish": lambda rules: rules.saying("hswish", "float"),
        "folded-stem": lambda rules: rules.model_copy(update={"stem": "plain"}),
    },
    options=lambda machine: machine.onnxruntime_session,
)

LITERT = Runtime(
    title="LiteRT",
    about="LiteRT (TensorFlow Lite) with XNNPACK",
    extra="tflite",
    packages=("ai-edge-litert", "flatbuffers"),
    module="spacedsl.runtimes.litert",
    rules=Rules(
        runtime="litert",
        aliases=("tflite", "litert"),
        formats=("tflite",),
        acts=ACTS,
        stem="space-to-depth",
        depthwise_taps=25,
    ),
    stand_ins=("tflite-runtime",),
)

OPENVINO = Runtime(
    title="OpenVINO",
    about="OpenVINO on the CPU, one stream",
    extra="openvino",
    packages=("openvino", "onnx"),
    module="spacedsl.runtimes.openvino",
    rules=Rules(
        runtime="openvino",
        aliases=("openvino",),
        formats=("onnx",),
        acts=ACTS,
        depthwise_multiple=16,
        dense_outputs=16,
        gates="float",
    ),
    optional={"float-gates": lambda rules: rules.model_copy(update={"gates": "uint8"})},
)

BUILT_IN = {runtime.name: runtime for runtime in (ONNXRUNTIME, LITERT, OPENVINO)}
"""Name -> runtime. Of those that read a format, the first is the one that reads a file of which
nothing more is said."""


def runtimes() -> dict[str, Runtime]:
    """All there are, the built-in ones first. Raises `SpaceError` where a package's cannot be
    loaded."""
    return BUILT_IN | _registered()


@cache
def _registered() -> dict[str, Runtime]:
    """Those of installed packages."""
    words = ("the runtime", "none")
    return registered(GROUP, Runtime, BUILT_IN, words, partial(fault, "bad-runtime"))


def named(name: str) -> Runtime:
    """The runtime of this name. Raises `SpaceError` where there is none."""
    found = BUILT_IN.get(name) or runtimes().get(name)
    if found is None:
        message = f"unknown runtime `{name}`"
        raise fault("unknown-runtime", message, f"write {one_of(list(runtimes()))}")
    return found


def readers(format: str) -> tuple[Runtime, ...]:
    """The runtimes that read a format, the usual one first; none for what is no format."""
    return tuple(runtime for runtime in runtimes().values() if runtime.format == format)


def formats() -> tuple[str, ...]:
    """All formats of files."""
    return tuple(dict.fromkeys(runtime.format for runtime in runtimes().values()))


def format_of(name: str) -> str | None:
    """The format of a file by its suffix; None for anything else."""
    suffix = Path(name).suffix.removeprefix(".")
    return suffix if readers(suffix) else None


def reader(name: str, asked: str | None = None) -> Runtime:
    """What runs a file: the runtime asked for, else the usual one of its format. Raises
    `SpaceError` where that does not read it."""
    format = format_of(name)
    if format is None:
        endings = one_of([f".{format}" for format in formats()])
        raise fault("wrong-kind", f"{name} does not end in {endings}")
    if asked is None:
        return readers(format)[0]
    found = named(asked)
    if found.format != format:
        message = f"{name} is a file for {listed(readers(format))}, not for {found.name}"
        raise fault("bad-option", message)
    return found


def listed(found: Sequence[Runtime]) -> str:
    """The runtimes in a sentence."""
    return " or ".join(runtime.name for runtime in found)


def need(runtime: Runtime) -> str:
    """The version of an installed runtime. Raises `SpaceError` where a package of it is missing."""
    for package in runtime.packages:
        if util.find_spec(package.replace("-", "_")) is None:
            message = f"{runtime.title} needs the package {package}, which is not installed"
            help = f"pip install 'spacedsl[{runtime.extra}]'"
            raise fault("missing-extra", message, help)
    return metadata.version(runtime.packages[0])


def runtime_of(target: Target) -> Runtime:
    """The runtime that a target names, else the one that its `device` does. Raises `SpaceError`."""
    if target.runtime:
        return named(target.runtime)
    device = target.device.lower()
    found = [r for r in runtimes().values() if any(alias in device for alias in r.rules.aliases)]
    if len(found) == 1:
        return found[0]
    names = [runtime.name for runtime in found or runtimes().values()]
    which = "several runtimes" if found else "no runtime with quantisation rules"
    message = f"target `{target.name}`: its device names {which}"
    raise fault("unknown-runtime", message, f"say it: `runtime {one_of(names)}`")


def rules_of(target: Target) -> Rules:
    """The rules of a target's runtime, without those its page leaves out. Raises `SpaceError` where
    the runtime, a rule or the data types are unknown."""
    runtime = runtime_of(target)
    rules = runtime.rules
    if target.types != TYPES:
        message = f"target `{target.name}`: {runtime.name} has no data types `{target.types}`"
        raise fault("unknown-types", message, f"write {TYPES}: uint8 activations, int8 weights")
    if target.rules is None:
        return rules
    known = runtime.optional
    for name in target.rules:
        if name not in known:
            message = f"target `{target.name}`: {runtime.name} has no rule `{name}`"
            help = f"it has {one_of(sorted(known))}" if known else "leave `rules` out"
            raise fault("unknown-rule", message, help)
    for name, without in known.items():
        rules = rules if name in target.rules else without(rules)
    return rules
