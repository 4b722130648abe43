"""Every operator beside the integer reference, given the same 8-bit inputs; and whole answers
beside those of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.onnx_int8 import emit_int8 as onnx_int8
from spacedsl.compiler.reference import quantise, real_values, run_node
from spacedsl.compiler.tflite_int8 import emit_int8 as tflite_int8
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.runtimes.table import LITERT
from tests.arm.guest import Outputs
from tests.arm.networks import Case
from tests.compiler.onnx_support import plan_steps
from tests.compiler.tflite_support import moved_to, unsigned

OPERATORS = {
    "conv": "convolution",
    "dwconv": "depthwise",
    "linear": "classifier",
    "add": "sum",
    "mul": "product",
    "shift": "gate, clip",
    "sigmoid": "sigmoid",
    "pool": "global pool",
    "maxpool": "max-pool",
    "avgpool": "average pool",
    "concat": "joined channels",
    "slice": "slice",
    "shuffle": "shuffle",
    "space-to-depth": "space to depth",
} | {word: word for word in ACTIVATIONS}
"""An op of the plan -> its row of the table; activations that are ops of their own are named as
pages do."""


MOVES = ("maxpool", "slice", "shuffle", "space-to-depth")
"""Ops that take values as they are; so does the joining of channels of one quantiser."""


@dataclass(slots=True)
class Tally:
    """Elements compared and those that differ; by how many steps at most; and how far at most what
    was rounded lay from a tie, in steps. `values` counts the numbers that were rounded otherwise,
    equal ones of a tensor once: a pool has few different sums, and each decides for many elements.
    `worst`: the greatest share in one network."""

    elements: int = 0
    off: int = 0
    values: int = 0
    most: int = 0
    tie: float = 0.0
    worst: float = 0.0

    def add(
        self, off: NDArray[np.int64], steps: NDArray[np.float64], distance: NDArray[np.float64]
    ) -> None:
        """Count a tensor; `steps` of the output before rounding, and their `distance` from a tie,
        of each element."""
        wrong = off > 0
        self.elements += off.size
        self.off += int(wrong.sum())
        self.values += len(np.unique(steps[wrong]))
        self.most = max(self.most, int(off.max()))
        self.tie = max(self.tie, float(distance[wrong].max(initial=0.0)))

    def pool(self, one: Tally) -> None:
        """Count what one network had."""
        self.elements += one.elements
        self.off += one.off
        self.values += one.values
        self.most, self.tie = max(self.most, one.most), max(self.tie, one.tie)
        self.worst = max(self.worst, one.off / max(one.elements, 1))

    @property
    def per_million(self) -> float:
        """Elements that differ, of a million."""
        return 1e6 * self.off / max(self.elements, 1)


@dataclass(slots=True)
class Answers:
    """Images of which a runtime's answers were compared with those on this machine; how many have
    the same largest logit; how many the same logits to the bit; the most steps between two."""

    images: int = 0
    same_class: int = 0
    same_logits: int = 0
    steps: int = 0


Tallies = dict[str, Tally]
"""By the operator's name."""


def write_files(case: Case, folder: Path) -> None:
    """A network's files with all tensors as outputs and, `plain`, as they are exported."""
    names = [node.name for node in case.model.nodes]
    for part, outputs, count in (("tensors", names, case.compared), ("plain", [], None)):
        path = folder / f"{case.name}-{part}.npy"
        np.save(path, case.images[:count])
        onnx = onnx_int8(case.model, outputs=outputs).SerializeToString()
        path.with_suffix(".onnx").write_bytes(onnx)
        path.with_suffix(".tflite").write_bytes(
            tflite_int8(moved_to(case.model, LITERT.rules), outputs=outputs)
        )


def read_outputs(case: Case, part: str, folder: Path, runtime: str) -> Outputs:
    """What `guest.py` wrote."""
    with np.load(folder / f"{case.name}-{part}.{runtime}.npz") as found:
        return dict(found)


def compared(case: Case, folder: Path, runtime: str) -> Tallies:
    """The operators of one network."""
    outputs = read_outputs(case, "tensors", folder, runtime)
    found = STEPS[runtime](case.model, outputs)
    tallies: Tallies = {}
    for node, off, steps, distance in differences(case.model, found):
        tallies.setdefault(OPERATORS[node.op], Tally()).add(off, steps, distance)
    return tallies


def litert_steps(model: IntegerModel, outputs: Outputs) -> dict[str, NDArray[np.uint8]]:
    """The plan's tensors out of what a TFLite file returned."""
    return {node.name: unsigned(outputs[node.name]) for node in model.nodes}


STEPS = {"onnxruntime": plan_steps, "litert": litert_steps}


def differences(
    model: IntegerModel, found: Mapping[str, NDArray[np.uint8]]
) -> Iterator[tuple[Int8Node, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
    """Of every op: steps from the reference, what it rounded, and how far that was from a tie."""
    quantisers = model.header.quantisers
    for node in model.nodes[1:]:
        inputs = [found[i] for i in node.inputs]
        if node.op in MOVES or (node.op == "concat" and node.shared):
            wanted = run_node(model, node, inputs)
            steps, distance = wanted.astype(np.float64), np.full(wanted.shape, 0.5)
        else:
            readers = [quantisers[i] for i in node.inputs]
            real = real_values(node, inputs, readers, model.weights.get(node.name))
            wanted = quantise(real, quantisers[node.name])
            steps = real / quantisers[node.name].write
            distance = np.abs(steps - np.floor(steps) - 0.5)
        off = np.abs(found[node.name].astype(np.int64) - wanted.astype(np.int64))
        yield node, off, steps, distance


def plain_logits(case: Case, folder: Path, runtime: str) -> NDArray[np.float32]:
    """The logits (N, classes) of the exported file."""
    return np.asarray(read_outputs(case, "plain", folder, runtime)[LOGITS], np.float32)


def answers(case: Case, here: NDArray[np.float32], there: NDArray[np.float32]) -> Answers:
    """A network's logits (N, classes) in two places."""
    last = case.model.header.quantisers[case.model.nodes[-1].name]
    return Answers(
        images=len(here),
        same_class=int((here.argmax(1) == there.argmax(1)).sum()),
        same_logits=int((here == there).all(axis=1).sum()),
        steps=int(np.rint(np.abs(here - there) / last.read).max()),
    )
