"""What a record of an operator says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from spacedsl.operators.layer import Layer


class Weights(NamedTuple):
    """What a layer has to learn: `products`, the weights of its products; `others` (biases, two
    per normalised channel). At how many `places` of its map it makes all products, and how many
    `convolutions` it is, each with quantisers of its own."""

    products: int
    others: int
    places: int = 1
    convolutions: int = 1


@dataclass(frozen=True, slots=True)
class Flag:
    """A modifier of an op under its word: it sets `field` of the op to `value`, or to the
    expression behind it where it `takes` one. `meaning` stands in the reference, `hover` in
    editors; `synonyms` are its names elsewhere."""

    field: str
    meaning: str
    hover: str
    value: bool | str = True
    takes: str = ""
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator under its word.

    In pages: `form` is how it is written, `meaning` and `hover` are its explanations in the
    reference and in editors, `example` is one of it, and `lacks` is said where nothing follows the
    word. `window`: a kernel follows it. It takes `acts` activations and the modifiers `flags`.
    `synonyms` are its names in the field, without case and signs. Operators without a form are in
    graphs only.

    In networks: `weights` counts those of a layer, `latency` is nn-Meter's name of its kernel,
    `in_place` says that it needs no memory for its result. `listed` are the fields that files of
    supernets show.

    In graphs: `own_scale` says that its integer kernel rescales, so that its quantiser can clip;
    `shares`, that its quantiser is its input's; `mixes`, that its channels are not those of what it
    reads. `onnx` is ONNX's operator, where one without weights does all."""

    form: str = ""
    meaning: str = ""
    hover: str = ""
    example: str = ""
    lacks: str = ""
    window: bool = False
    acts: int = 0
    flags: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    weights: Callable[[Layer], Weights] | None = None
    latency: str = ""
    in_place: bool = False
    listed: str = ""
    own_scale: bool = False
    shares: bool = False
    mixes: bool = False
    onnx: str = ""
