"""Running ONNX files with OpenVINO on the CPU. Needs the extra `openvino`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import fault

if TYPE_CHECKING:
    import io

    from openvino import CompiledModel, Core, InferRequest

    from spacedsl.runtimes.record import Options, Run

Floats = NDArray[np.float32]

MS_PER_US = 1e-3

ONE_STREAM = {"NUM_STREAMS": 1}
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""Float arithmetic in float32; by itself OpenVINO computes in bfloat16 where the CPU has that."""

FUSED = re.compile(r"^(.*?)(?:/WithoutBiases.*|_\d+)?$")
"""What fusions append to the name of a node of ours."""

GENERIC = re.compile(r"[A-Z][A-Za-z]*_\d+$")
"""A name that OpenVINO made up."""


KEPT = 64
"""Compiled networks that are kept: as many as `verify` opens again and again."""


@lru_cache(maxsize=1)
def core() -> Core:
    """The only core of this process. A core gives its thread a stack for signals, and puts the
    former one back when it goes. Of two, the second could put back the first one's, which is gone;
    then the next signal, such as Ctrl-C, would end the process."""
    import openvino

    return openvino.Core()


def _settings(threads: int, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"INFERENCE_NUM_THREADS": threads, **ONE_STREAM, **options}


def _opened(model: bytes | Path, threads: int, options: Options, **more: Any) -> CompiledModel:
    """As `_compiled`, but bytes that were compiled before are only imported, which takes a fifth of
    the time. The network runs as fast, and has memory of its own."""
    if isinstance(model, Path):
        return _compiled(model, threads, **options, **more)
    content = _content(model, threads, tuple(options.items()))
    return core().import_model(content, "CPU", _settings(threads, {**options, **more}))


@lru_cache(maxsize=KEPT)
def _content(model: bytes, threads: int, options: tuple[tuple[str, str], ...]) -> io.BytesIO:
    """A compiled network as OpenVINO writes it to a file."""
    content: io.BytesIO = _compiled(model, threads, **dict(options)).export_model()
    return content


def _compiled(model: bytes | Path, threads: int, **options: Any) -> CompiledModel:
    """Raises `SpaceError` for a file that OpenVINO cannot load."""
    try:
        graph = core().read_model(model if isinstance(model, bytes) else str(model))
        return core().compile_model(graph, "CPU", _settings(threads, options))
    except (RuntimeError, ValueError) as error:
        name = "the model" if isinstance(model, bytes) else str(model)
        raise fault("bad-onnx", f"OpenVINO cannot load {name}: {error}") from None


def _request(compiled: CompiledModel, seed: int) -> InferRequest:
    """A request whose inputs are random; dimensions without a number are 1."""
    rng = np.random.default_rng(seed)
    request = compiled.create_infer_request()
    for i, port in enumerate(compiled.inputs):
        if port.element_type.get_type_name() != "f32":
            kind = port.element_type.get_type_name()
            raise fault("bad-onnx", f"input {port.any_name} is {kind}, not float32")
        shape = [d.get_length() if d.is_static else 1 for d in port.partial_shape]
        request.set_input_tensor(i, _tensor(rng.standard_normal(shape, dtype=np.float32)))
    return request


def _tensor(values: Floats) -> Any:
    import openvino

    return openvino.Tensor(values)


def timed(model: bytes | Path, threads: int, options: Options, seed: int = 0) -> Run:
    """One inference at batch 1 on the random input of `seed`."""
    request = _request(_opened(model, threads, options), seed)

    def run() -> None:
        request.infer()

    return run


FIRST = 2
"""Inferences that are not counted: the first one prepares kernels, which takes ten times as long as
all that it computes."""


class ProfiledRequest:
    """A request whose nodes are timed by OpenVINO itself, which tells each node's average over all
    inferences so far."""

    def __init__(self, model: bytes, threads: int, options: Options) -> None:
        self._compiled = _opened(model, threads, options, PERF_COUNT=True)
        self._request = _request(self._compiled, seed=0)
        self._averages: list[list[float]] = []
        self._labels: tuple[str, ...] = ()
        self._ran: set[int] = set()

    def __call__(self) -> None:
        """One inference."""
        self._request.infer()
        nodes = self._request.profiling_info
        labels = tuple(node.node_name for node in nodes)
        if self._labels not in ((), labels):
            raise fault("bad-profile", "OpenVINO has other nodes than the time before")
        self._labels = labels
        self._ran |= {i for i, node in enumerate(nodes) if node.status.name == "EXECUTED"}
        self._averages.append([node.real_time.total_seconds() * 1e3 for node in nodes])

    @property
    def runs(self) -> int:
        """Inferences so far."""
        return len(self._averages)

    def close(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names of the nodes (N,), by what is fused into each, and times in ms (runs, N): in every
        row the average of all inferences but the first ones."""
        merged: dict[str, str] = {}
        for node in self._compiled.get_runtime_model().get_ordered_ops():
            about = node.get_rt_info()
            if "originalLayersNames" in about:
                merged[node.get_friendly_name()] = about["originalLayersNames"].astype(str)
        ran = sorted(self._ran)
        labels = [self._labels[i] for i in ran]
        names = tuple(_name((merged.get(label) or label).split(",")) for label in labels)
        averages = np.array(self._averages).reshape(-1, len(self._labels))[:, ran]
        return names, np.tile(_without_first(averages), (self.runs, 1))


def _without_first(averages: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the averages after each inference (runs, N), those of all but the first ones (N,)."""
    runs, first = len(averages), min(FIRST, len(averages) - 1)
    total = runs * averages[-1] - (first * averages[first - 1] if first else 0.0)
    return np.asarray(np.maximum(total / (runs - first), 0.0))


def profiled(model: bytes, threads: int, options: Options, folder: Path) -> ProfiledRequest:
    """The same, its nodes timed."""
    return ProfiledRequest(model, threads, options)


def _name(merged: Sequence[str]) -> str:
    """Of all that a node computes, the first that the file names; what only turns integers into
    numbers belongs to who reads them."""
    ours = [_ours(word) for word in merged if "." in word and not GENERIC.match(word)]
    computing = [word for word in ours if not word.endswith((".dequantize", ".dq"))]
    return next(iter(computing or ours), merged[0])


def _ours(word: str) -> str:
    found = FUSED.match(word)
    return found[1] if found else word


def logits(model: Path, threads: int, options: Options) -> Callable[[Floats], Floats]:
    """Normalised images (N, C, H, W) to logits (N, classes)."""
    compiled = _compiled(model, threads, **options)
    request = compiled.create_infer_request()

    def run(images: Floats) -> Floats:
        try:
            found = request.infer([images], share_inputs=True)
        except (RuntimeError, ValueError) as error:
            raise fault("bad-onnx", f"{model} does not run: {error}") from None
        return np.asarray(found[0], np.float32)

    return run


def tensors(model: bytes, names: Sequence[str]) -> Callable[[Floats], Sequence[Floats]]:
    """Images (1, C, H, W) to the values of these outputs, in float32."""
    request = _compiled(model, 1, **EXACT).create_infer_request()

    def run(images: Floats) -> list[Floats]:
        found = request.infer([images], share_inputs=True)
        return [np.array(found[name]) for name in names]

    return run
