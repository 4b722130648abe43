"""Writing TFLite flatbuffers: tensors, operators, stamped models. Needs the extra `tflite`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.graph import Output
from spacedsl.compiler.stamp import IMAGE, seal, without_prefix
from spacedsl.compiler.tflite_task import ENTRY, task_metadata, with_files
from spacedsl.diagnostics import fault
from spacedsl.operators.activation import LAST, X
from spacedsl.operators.activations import ACTIVATIONS

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import BufferT, MetadataT, ModelT, OperatorT, TensorT

SCHEMA = 3
IDENTIFIER = b"TFL3"
MAX_OLD_CODE = 127
"""Operators of a greater code have this one in the field of one byte that old readers read."""
SIGNATURE = "serving_default"

VERSIONS = {
    "CONV_2D": (1, 3),
    "DEPTHWISE_CONV_2D": (1, 3),
    "FULLY_CONNECTED": (5, 12),
    "ADD": (1, 2),
    "MUL": (1, 2),
    "LOGISTIC": (1, 2),
    "LEAKY_RELU": (1, 2),
    "MEAN": (1, 2),
    "MAX_POOL_2D": (1, 2),
    "PAD": (1, 2),
    "PADV2": (1, 2),
    "SPACE_TO_DEPTH": (1, 2),
    "CONCATENATION": (1, 2),
    "STRIDED_SLICE": (1, 2),
    "TRANSPOSE": (1, 2),
    "DEQUANTIZE": (1, 2),
    "RESIZE_NEAREST_NEIGHBOR": (1, 2),
}
"""Operator -> its version for float32 tensors and the one for int8; the others have version 1."""


class Scale(NamedTuple):
    """How integers mean numbers: `scale` (n,) times (q - zero), n being 1, or the size of the
    dimension `axis`."""

    scale: NDArray[np.float32]
    zero: int = 0
    axis: int = 0


def one_scale(scale: float, zero: int = 0) -> Scale:
    """One scale for a whole tensor."""
    return Scale(np.array([scale], np.float32), zero)


class Operator(NamedTuple):
    """An operator before the file is written; `options` is a table of the schema, or None."""

    kind: str
    version: int
    inputs: tuple[str, ...]
    output: str
    options: Any


def need_litert() -> None:
    """Raise `SpaceError` unless ai-edge-litert is installed."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        message = "this needs the package ai-edge-litert, which is not installed"
        raise fault("missing-extra", message, "pip install 'spacedsl[tflite]'")


@dataclass(slots=True)
class Builder:
    """Tensors (known by their names, in order), operators and buffers so far. The format keeps
    buffer 0 empty."""

    tensors: dict[str, TensorT] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    buffers: list[bytes] = field(default_factory=lambda: [b""])

    def tensor(
        self, name: str, shape: Sequence[int], dtype: type[np.generic], scale: Scale | None = None
    ) -> str:
        """Add a tensor of any batch size (`shape` says 1, which is what it has until resized);
        returns its name."""
        from ai_edge_litert import schema_py_generated as schema

        found = schema.TensorT()
        found.name, found.shape, found.hasRank = name, list(shape), True
        found.shapeSignature = [-1, *shape[1:]]
        found.type = getattr(schema.TensorType, np.dtype(dtype).name.upper())
        if scale is not None:
            found.quantization = schema.QuantizationParametersT()
            found.quantization.scale = scale.scale
            found.quantization.zeroPoint = np.full(scale.scale.shape, scale.zero, np.int64)
            found.quantization.quantizedDimension = scale.axis
        self.tensors[name] = found
        return name

    def constant(self, name: str, data: NDArray[Any], scale: Scale | None = None) -> str:
        """Add a constant; returns its name."""
        self.tensor(name, data.shape, data.dtype.type, scale)
        self.tensors[name].shapeSignature = None
        self.tensors[name].buffer = self.buffer(np.ascontiguousarray(data).tobytes())
        return name

    def like(self, name: str, source: str, rows: int, columns: int) -> str:
        """Add a tensor like `source`, of so many rows and columns; returns its name."""
        return self.alike(name, source, (1, rows, columns, self.tensors[source].shape[3]))

    def alike(self, name: str, source: str, shape: Sequence[int]) -> str:
        """Add a tensor of the type and scale of `source`; returns its name."""
        from ai_edge_litert import schema_py_generated as schema

        old = self.tensors[source]
        found = schema.TensorT()
        found.name, found.hasRank, found.type = name, True, old.type
        found.shape = list(shape)
        found.shapeSignature = [-1, *found.shape[1:]]
        found.quantization = old.quantization
        self.tensors[name] = found
        return name

    def buffer(self, data: bytes) -> int:
        """Add a buffer; returns its index."""
        self.buffers.append(data)
        return len(self.buffers) - 1

    def op(
        self, kind: str, inputs: Iterable[str], output: str, options: str = "", **values: Any
    ) -> str:
        """Add an operator, named as in the schema, with its table of `options` and their `values`;
        returns its output's name."""
        from ai_edge_litert import schema_py_generated as schema

        table = getattr(schema, f"{options}T")() if options else None
        for key, value in values.items():
            setattr(table, key, value)
        names = tuple(inputs)
        integer = schema.TensorType.INT8 in (self.tensors[n].type for n in (names[0], output))
        version = VERSIONS.get(kind, (1, 1))[integer]
        self.operators.append(Operator(kind, version, names, output, table))
        return output

    def act(self, act: str, x: str, output: str) -> str:
        """Add the calls of an activation of `x`; returns its output's name."""
        calls, last, sides = ACTIVATIONS[act].tflite, x, self.tensors[x].shape[1:3]
        for i, call in enumerate(calls, start=1):
            made = output if i == len(calls) else self.like(f"{output}.{i}", x, *sides)
            inputs = []
            for j, said in enumerate(call.inputs):
                known = {X: x, LAST: last}.get(said) if isinstance(said, str) else None
                value = np.full((1, 1, 1, 1), 0.0 if known else said, np.float32)
                inputs.append(known or self.constant(f"{output}.{i}.{j}", value))
            last = self.op(call.op, inputs, made, call.table, **dict(call.attributes))
        return last

    def output(self, source: str, output: Output) -> None:
        """Add an output of the file, the numbers of `source`: a map (N, H, W, C), or logits
        (N, classes), without its rows and columns."""
        first, *rest = output.shape
        sizes = [*rest, first]
        shape = self.constant(f"{output.name}.shape", np.array([-1, *sizes], np.int32))
        made = self.tensor(output.name, (1, *sizes), np.float32)
        self.op("RESHAPE", [source, shape], made, "ReshapeOptions", newShape=[-1, *sizes])

    def model(self, outputs: Sequence[str], name: str, stamp: Mapping[str, str]) -> bytes:
        """The finished file: from the tensor `image` to the tensors `outputs`, with `stamp` as
        metadata. The same model gives the same bytes."""
        from ai_edge_litert import schema_py_generated as schema

        index = {tensor: i for i, tensor in enumerate(self.tensors)}
        codes = list(dict.fromkeys((op.kind, op.version) for op in self.operators))
        graph = schema.SubGraphT()
        graph.name, graph.tensors = name, list(self.tensors.values())
        graph.operators = [_operator(op, index, codes) for op in self.operators]
        graph.inputs, graph.outputs = [index[IMAGE]], [index[tensor] for tensor in outputs]
        model = schema.ModelT()
        model.version, model.description, model.subgraphs = SCHEMA, "spacedsl", [graph]
        model.operatorCodes = [_code(*code) for code in codes]
        model.signatureDefs = [_signature(index, outputs)]
        entries = {key: text.encode() for key, text in stamp.items()}
        if known := without_prefix(stamp):
            entries[ENTRY] = task_metadata(known)
        model.metadata = [_metadata(key, self.buffer(data)) for key, data in entries.items()]
        model.buffers = [_buffer(data) for data in self.buffers]
        return seal(with_files(_packed(model), known)) if known else _packed(model)


def _operator(op: Operator, index: Mapping[str, int], codes: list[tuple[str, int]]) -> OperatorT:
    from ai_edge_litert import schema_py_generated as schema

    made = schema.OperatorT()
    made.opcodeIndex = codes.index((op.kind, op.version))
    made.inputs, made.outputs = [index[i] for i in op.inputs], [index[op.output]]
    if op.options is not None:
        table = type(op.options).__name__.removesuffix("T")
        made.builtinOptions = op.options
        made.builtinOptionsType = getattr(schema.BuiltinOptions, table)
    return made


def _code(kind: str, version: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    made = schema.OperatorCodeT()
    made.builtinCode, made.version = getattr(schema.BuiltinOperator, kind), version
    made.deprecatedBuiltinCode = min(made.builtinCode, MAX_OLD_CODE)
    return made


def _signature(index: Mapping[str, int], outputs: Sequence[str]) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    def binding(tensor: str) -> Any:
        made = schema.TensorMapT()
        made.name, made.tensorIndex = tensor, index[tensor]
        return made

    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = SIGNATURE, 0
    made.inputs = [binding(IMAGE)]
    made.outputs = [binding(tensor) for tensor in outputs]
    return made


def _metadata(key: str, buffer: int) -> MetadataT:
    from ai_edge_litert import schema_py_generated as schema

    made = schema.MetadataT()
    made.name, made.buffer = key, buffer
    return made


def _buffer(data: bytes) -> BufferT:
    from ai_edge_litert import schema_py_generated as schema

    made = schema.BufferT()
    made.data = np.frombuffer(data, np.uint8) if data else None
    return made


def _packed(model: ModelT) -> bytes:
    import flatbuffers

    size = sum(len(b.data) for b in model.buffers if b.data is not None)
    builder = flatbuffers.Builder(size + (1 << 16))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
