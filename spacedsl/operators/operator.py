"""What a record of an operator says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from spacedsl.operators.layer import Layer


class Weights(NamedTuple):
    """How many weights a layer learns: `products` are multiplied with what it reads, `others` are
    biases and two for each normalised channel. It makes all of its products at `places` places of
    its map. It is made of so many `convolutions`, and each of them has quantisers of its own."""

    products: int
    others: int
    places: int = 1
    convolutions: int = 1


@dataclass(frozen=True, slots=True)
class Flag:
    """A modifier of an op. It sets `field` of the op to `value`. Where it `takes` an expression,
    which stands behind its word, it sets the field to that; where it has a `most`, it takes a whole
    number from 1 to that in place of an expression. `meaning` is its explanation in the
    reference, `hover` the one in editors. `synonyms` are its names elsewhere."""

    field: str
    meaning: str
    hover: str
    value: bool | str = True
    takes: str = ""
    most: int = 0
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator. The table of operators names it by its word.

    In pages: `form` is how it is written. `meaning` is its explanation in the reference, `hover`
    the one in editors, and `example` shows it in use. `lacks` is the help of the error where
    nothing follows its word. `window` says that a kernel follows its word. It takes `acts`
    activations and the modifiers `flags`. `synonyms` are its names in the field, without case and
    signs. An operator without a form is in graphs only.

    In networks: `weights` counts those of a layer. `latency` is nn-Meter's name of its kernel.
    `in_place` says that it needs no memory for its result. `listed` are the fields that files of
    supernets show.

    In graphs: `own_scale` says that its integer kernel rescales, so that its quantiser can clip.
    `shares` says that its quantiser is that of its input. `mixes` says that its channels are not
    those of what it reads. `onnx` is the operator of ONNX that does the same, where one without
    weights does."""

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
