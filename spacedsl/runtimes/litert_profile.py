"""Times of an INT8 TFLite file's operators as LiteRT runs them. Needs the extra `tflite`.

XNNPACK merges operators: padding into the convolution after it, and into one table a chain of
elementwise ones of 8 bits that reads a single tensor (a whole hswish) and a float one between two
quantisers (gelu). What it runs is told apart by kind alone, so the file's operators are merged here
in the same way and the two lists compared."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.runtimes.litert_c import Profiled

MS_PER_US = 1e-3
ELEMENTWISE = frozenset(
    {"ADD", "MUL", *(call.op for act in ACTIVATIONS.values() for call in act.tflite)}
)
WINDOWS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})

TABLED = [["DEQUANTIZE", "GELU"], ["DEQUANTIZE", "LEAKY_RELU"]]
"""What makes a table of the quantiser after it."""

KINDS = {
    "Convolution": WINDOWS,
    "Fully Connected": frozenset({"CONV_2D", "FULLY_CONNECTED"}),
    "Add": frozenset({"ADD"}),
    "Multiply": frozenset({"MUL"}),
    "Square": frozenset({"MUL"}),
    "Divide": frozenset({"DIV"}),
    "Subtract": frozenset({"SUB"}),
    "Exp": frozenset({"EXP"}),
    "Mean": frozenset({"MEAN"}),
    "Convert": frozenset({"QUANTIZE", "DEQUANTIZE"}),
    "Max Pooling": frozenset({"MAX_POOL_2D"}),
    "Average Pooling": frozenset({"AVERAGE_POOL_2D"}),
    "Constant Pad": frozenset({"PAD"}),
    "Space To Depth": frozenset({"SPACE_TO_DEPTH"}),
    "Static Reshape": frozenset({"RESHAPE"}),
    "Slice": frozenset({"STRIDED_SLICE"}),
    "Copy": frozenset({"CONCATENATION"}),
    "Transpose": frozenset({"TRANSPOSE"}),
    "RESIZE_NEAREST_NEIGHBOR": frozenset({"RESIZE_NEAREST_NEIGHBOR"}),  # LiteRT's own
}
"""How XNNPACK begins the name of an operator -> what it may be in the file; else it is a table. An
elementwise one that stands alone may be left as it is."""


class Step(NamedTuple):
    """An operator that XNNPACK runs: the tensor it makes, its kind in the file ("TABLE" for a
    merged chain) and the tensors it reads."""

    name: str
    kind: str
    reads: tuple[str, ...]


class ProfiledFile:
    """An INT8 TFLite file of ours whose operators are timed as it runs. Raises `SpaceError` for one
    that LiteRT cannot load."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        found = _File(model)
        self._steps = found.steps()
        self._profiled = Profiled(model, found.image, found.outputs, threads)
        self._times: list[list[int]] = []

    def __call__(self) -> None:
        """One inference. Raises `SpaceError` where XNNPACK does not run what the file says."""
        events = self._profiled.run()
        kinds = [kind for kind, _ in events]
        if len(kinds) != len(self._steps):
            raise _merged(f"{len(kinds)} operators", f"{len(self._steps)} are")
        for kind, step in zip(kinds, self._steps, strict=True):
            if not _is(kind, step.kind):
                raise _merged(f"`{kind}` for {step.name}", f"{step.kind} is")
        self._times.append([elapsed for _, elapsed in events])

    @property
    def runs(self) -> int:
        """Inferences so far."""
        return len(self._times)

    def close(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names of the tensors that operators make (N,), which are the plan's, and times in ms
        (runs, N), in execution order."""
        self._profiled.close()
        names = tuple(step.name for step in self._steps)
        return names, np.array(self._times, dtype=np.float64).reshape(-1, len(names)) * MS_PER_US


def _merged(runs: str, expected: str) -> SpaceError:
    message = f"XNNPACK runs {runs}, {expected} expected: this file is merged in another way"
    return fault("bad-profile", message)


def _is(event: str, kind: str) -> bool:
    """Can XNNPACK's operator `event` be one of `kind`?"""
    for beginning, kinds in KINDS.items():
        if event.startswith(beginning):
            return kind in kinds or (kind == "TABLE" and not kinds.isdisjoint(ELEMENTWISE))
    return kind == "TABLE"


class _File:
    """The operators of a TFLite file. Raises `SpaceError` for a damaged one."""

    def __init__(self, data: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        words = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        try:
            model = schema.Model.GetRootAs(data)
            graph = model.Subgraphs(0)
            tensors: list[Any] = [graph.Tensors(i) for i in range(graph.TensorsLength())]
            self.names = [t.Name().decode() for t in tensors]
            self.constant = {n for n, t in zip(self.names, tensors, strict=True) if t.Buffer()}
            self.floats = {
                n
                for n, t in zip(self.names, tensors, strict=True)
                if t.Type() == schema.TensorType.FLOAT32
            }
            self.shapes = {
                n: tuple(t.ShapeAsNumpy().tolist()) if t.ShapeLength() else ()
                for n, t in zip(self.names, tensors, strict=True)
            }
            self.image = self.shapes[self.names[graph.Inputs(0)]]
            self.outputs = [
                self.shapes[self.names[graph.Outputs(i)]] for i in range(graph.OutputsLength())
            ]
            codes = [
                words[model.OperatorCodes(i).BuiltinCode()]
                for i in range(model.OperatorCodesLength())
            ]
            operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
            self.operators = [
                Step(
                    self.names[op.Outputs(0)],
                    codes[op.OpcodeIndex()],
                    tuple(self.names[op.Inputs(i)] for i in range(op.InputsLength())),
                )
                for op in operators
            ]
        except Exception as error:  # the schema's reader checks nothing: any offset may be wrong
            raise fault("bad-tflite", f"the TFLite file is damaged: {error}") from None

    def steps(self) -> tuple[Step, ...]:
        """The operators as XNNPACK merges them."""
        found: list[Step] = []
        root: dict[str, str] = {}
        for op in self.operators:
            reads = [name for name in op.reads if name not in self.constant]
            last = found[-1] if found else None
            roots = {root.get(name, name) for name in reads}
            if op.kind in ELEMENTWISE and len(roots) == 1 and op.name not in self.floats:
                (root[op.name],) = roots
                if last is not None and root.get(last.name) in roots:
                    found.pop()
                found.append(Step(op.name, "TABLE", tuple(reads)))
                continue
            if op.kind == "QUANTIZE" and [s.kind for s in found[-2:]] in TABLED:
                reads = list(found[-2].reads)
                del found[-2:]
                found.append(Step(op.name, "TABLE", tuple(reads)))
                continue
            if op.kind in WINDOWS and last is not None and last.kind == "PAD":
                found.pop()
            found.append(op)
        return tuple(found)
