"""The integer model: an INT8 plan with its numbers. What training hands to the emitters.

On disk an uncompressed `.npz` (no pickle): `header`, JSON as bytes, and for each weighted node
`NODE/weight` int8, `NODE/scale` float32, `NODE/bias` int32. The archive has a CRC-32 of each, which
is verified when it is read."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

import numpy as np
from pydantic import ValidationError

from spacedsl.compiler.fold import SCALE_FLOOR, WEIGHT_MAX, IntWeights
from spacedsl.compiler.graph import weight_shape
from spacedsl.compiler.int8 import CEILING, QMAX, Clip, Fixed, Int8Node
from spacedsl.compiler.plans import Int8Plan
from spacedsl.diagnostics import fault
from spacedsl.files import write_atomic
from spacedsl.ir.expr import Frozen
from spacedsl.json_files import first_mistake

FORMAT: Final = 1
MAX_BYTES = 2 << 30
SIMPLE = ("|u1", "|i1", "<i4", "<i8", "<f4", "<f8")
CEILING_SLACK = 1 + 1e-6


class Quantiser(Frozen):
    """uint8 tensor: q = clip(round(x / write) + zero_point, 0, 255); its readers take
    read * (q - zero_point). Scales are float32 values."""

    write: float
    read: float
    zero_point: int


class Preprocess(Frozen):
    """How an image becomes the input: RGB / 255, minus `mean`, over `std`, per channel. `crop`:
    which share of its shorter side was seen in training, around its centre; None where nobody
    said."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    colour: str = "RGB"
    crop: float | None = None

    def quantiser(self) -> Quantiser:
        """The input's quantiser: exactly the range that pixels have."""
        low = min(-m / s for m, s in zip(self.mean, self.std, strict=True))
        high = max((1 - m) / s for m, s in zip(self.mean, self.std, strict=True))
        return from_range(low, high)


def preprocess_for(channels: int) -> Preprocess:
    """ImageNet's usual statistics for three channels, [-1, 1] for any other number."""
    if channels == 3:
        return Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    return Preprocess(mean=(0.5,) * channels, std=(0.5,) * channels, colour="as given")


class Header(Frozen):
    """What an integer model says of itself, besides its weights."""

    format: Literal[1] = FORMAT
    kind: Literal["integer-model"] = "integer-model"
    plan: Int8Plan
    preprocess: Preprocess
    labels: tuple[str, ...] = ()
    weights_from: str
    quantisers: dict[str, Quantiser]


@dataclass(frozen=True, slots=True)
class IntegerModel:
    """`quantisers` in the header by node name, `weights` by the name of the weighted node."""

    header: Header
    weights: Mapping[str, IntWeights]

    @property
    def nodes(self) -> tuple[Int8Node, ...]:
        """The integer ops in execution order."""
        return self.header.plan.graph.nodes


def clipped_range(clip: Clip, low: float, high: float) -> tuple[float, float]:
    """What a quantiser that clips so must hold of the values in `low`..`high`: zero always, since
    padding is exactly zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    if clip == "none":
        return low, high
    return 0.0, min(high, 6.0) if clip == "relu6" else high


def from_range(low: float, high: float) -> Quantiser:
    """The quantiser of values in `low`..`high`, of which zero is one."""
    scale = np.float32((high - low) / QMAX)
    if not scale > np.float32(SCALE_FLOOR):
        scale = np.float32(1 / QMAX)
    zero = int(np.clip(np.rint(-low / float(scale)), 0, QMAX))
    return Quantiser(write=float(scale), read=float(scale), zero_point=zero)


def fixed_quantiser(fixed: Fixed) -> Quantiser:
    """A quantiser that no data decides."""
    write, read = np.float32(fixed.write), np.float32(fixed.read)
    return Quantiser(write=float(write), read=float(read), zero_point=fixed.zero_point)


def range_quantiser(node: Int8Node, low: float, high: float) -> Quantiser:
    """The quantiser of a node whose tensor has values in `low`..`high`."""
    return from_range(*clipped_range(node.clip, low, high))


Choose = Callable[[Int8Node], Quantiser]
Settle = Callable[[Int8Node, Sequence[Quantiser], Quantiser], Quantiser]


def fill(
    plan: Int8Plan,
    preprocess: Preprocess,
    weights_from: str,
    choose: Choose,
    weigh: Callable[[Int8Node, Quantiser], IntWeights],
    labels: Sequence[str] = (),
    settle: Settle = lambda node, readers, found: found,
) -> IntegerModel:
    """The integer model of a plan. `choose` gives the quantiser of a tensor that data decide, or
    that of a concat and of all that have its quantiser; `settle` that which a node takes instead,
    for the quantisers of its inputs. `weigh` gives the weights of a node, from its input's
    quantiser."""
    quantisers = _quantisers(plan, choose, settle)
    weights = {
        node.name: weigh(node, quantisers[node.inputs[0]])
        for node in plan.graph.nodes
        if node.source
    }
    header = Header(
        plan=plan,
        preprocess=preprocess,
        labels=tuple(labels),
        weights_from=weights_from,
        quantisers=quantisers,
    )
    return IntegerModel(header, weights)


def _quantisers(plan: Int8Plan, choose: Choose, settle: Settle) -> dict[str, Quantiser]:
    """Nodes that have the quantiser of a concat stand before it and after each other: they are
    asked again until none of them settles for another one."""
    nodes, alike = plan.graph.by_name(), dict[str, Quantiser]()
    while True:
        found, before = dict[str, Quantiser](), dict(alike)
        for node in plan.graph.nodes:
            readers = [found[name] for name in node.inputs]
            if node.shared:
                found[node.name] = readers[0]
            elif node.like:
                known = alike.get(node.like) or choose(nodes[node.like])
                found[node.name] = alike[node.like] = settle(node, readers, known)
            elif node.fixed is not None:
                found[node.name] = fixed_quantiser(node.fixed)
            else:
                found[node.name] = settle(node, readers, choose(node))
        if alike == before:
            return found


def check_model(model: IntegerModel) -> None:
    """Raise `SpaceError` unless every number fits its place in the plan."""
    nodes = model.header.plan.graph.by_name()
    if model.header.quantisers.keys() != nodes.keys():
        raise _bad("its quantisers are not those of the plan's tensors")
    for name, node in nodes.items():
        _check_quantiser(node, model.header.quantisers)
        if not node.source:
            continue
        found = model.weights.get(name)
        if found is None:
            raise _bad(f"{name} has no weights")
        cin = nodes[node.inputs[0]].shape[0]
        source = model.header.plan.network.by_name()[node.source]
        shape, cout = weight_shape(source, cin), (node.shape[0],)
        if (found.weight.shape, found.scale.shape, found.bias.shape) != (shape, cout, cout):
            raise _bad(f"{name}: weights of shape {found.weight.shape}, the plan says {shape}")
        if (found.weight < -WEIGHT_MAX).any():
            raise _bad(f"{name}: a weight of -128; they lie in -127..127")
        if not (np.isfinite(found.scale).all() and (found.scale > 0).all()):
            raise _bad(f"{name}: a weight scale that is not above zero")


def _check_quantiser(node: Int8Node, quantisers: Mapping[str, Quantiser]) -> None:
    found = quantisers[node.name]
    if not (np.float32(found.write) > 0 and np.isfinite(found.write) and np.isfinite(found.read)):
        raise _bad(f"{node.name}: a scale that is not above zero")
    if not 0 <= found.zero_point <= QMAX:
        raise _bad(f"{node.name}: zero point {found.zero_point} is not in 0..255")
    if node.clip != "none" and found.zero_point != 0:
        raise _bad(f"{node.name}: {node.clip} needs zero point 0, not {found.zero_point}")
    if node.clip in CEILING and found.write > CEILING[node.clip] * CEILING_SLACK:
        raise _bad(f"{node.name}: relu6 needs a scale of at most 6/255, not {found.write}")
    if node.shared and found != quantisers[node.inputs[0]]:
        raise _bad(f"{node.name}: its quantiser must be its input's")
    if node.like and found != quantisers[node.like]:
        raise _bad(f"{node.name}: its quantiser must be that of {node.like}")


def _bad(message: str) -> Exception:
    return fault("bad-integer-model", f"integer model: {message}")


def save_model(model: IntegerModel, path: Path) -> None:
    """Write an integer model atomically; the same model gives the same bytes."""
    check_model(model)
    arrays: dict[str, np.ndarray] = {
        "header": np.frombuffer(model.header.model_dump_json().encode(), np.uint8)
    }
    for name, found in model.weights.items():
        arrays |= {f"{name}/{k}": v for k, v in found._asdict().items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def load_model(path: Path) -> IntegerModel:
    """Read an integer model. Raises `SpaceError` for one that is missing, truncated, of another
    version, or does not fit its plan."""
    try:
        arrays = read_arrays(path)
        header = Header.model_validate_json(arrays.pop("header").tobytes())
        weights = {
            node.name: IntWeights(
                *(
                    _typed(arrays[f"{node.name}/{part}"], dtype)
                    for part, dtype in (
                        ("weight", np.int8),
                        ("scale", np.float32),
                        ("bias", np.int32),
                    )
                )
            )
            for node in header.plan.graph.nodes
            if node.source
        }
    except OSError as error:
        raise fault("bad-integer-model", f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        why = first_mistake(error, "the header")
        message = f"{path} is not an integer model of version {FORMAT}: {why}"
        raise fault("bad-integer-model", message) from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise fault("bad-integer-model", f"{path} is damaged: {error}") from None
    model = IntegerModel(header, weights)
    check_model(model)
    return model


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed `.npz`, of simple types, none larger than the file says; the
    checksum of each is compared. numpy's own reader takes what a header claims before it looks.
    Raises `OSError`, `ValueError` and `BadZipFile`."""
    with path.open("rb") as file, _unzipped(file) as stored:
        members = stored.infolist()
        if sum(member.file_size for member in members) > MAX_BYTES:
            raise fault("bad-integer-model", f"{path} is larger than {MAX_BYTES >> 30} GB")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("an array is compressed")
        return {m.filename.removesuffix(".npy"): array_of(stored.read(m)) for m in members}


@contextmanager
def _unzipped(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """An open archive. What its reader knows no way to read is a `ValueError` too."""
    try:
        with zipfile.ZipFile(file) as stored:
            yield stored
    except (RuntimeError, OverflowError, TypeError, struct.error) as error:
        raise ValueError(str(error)) from None


def array_of(data: bytes) -> np.ndarray:
    """The array of an `.npy` file, of a simple type. Raises `ValueError`, `EOFError`."""
    buffer = io.BytesIO(data)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise ValueError("an array of another version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    if fortran or dtype.str not in SIMPLE:
        raise ValueError(f"an array of {dtype}")
    return np.frombuffer(data, dtype, offset=buffer.tell()).reshape(shape)


def _typed(array: np.ndarray, dtype: type) -> np.ndarray:
    if array.dtype != dtype:
        raise ValueError(f"an array of {array.dtype} where {np.dtype(dtype)} belongs")
    return array
