"""Identity of a network: the hash of its bound layers, whatever page or block says them."""

from __future__ import annotations

from dataclasses import fields, replace

from spacedsl.ir.identity import HASH_VERSION, digest
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.layer import Layer
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import Bound, Concat, Residual

NEUTRAL_CHANNELS = 3


def subnet_identity(subnet: Subnet) -> str:
    """The content hash of a model. Channels and classes come from data and stay out, and so does a
    block that is left out as a whole, wherever that is."""
    neutral = subnet.of.model_copy(update={"channels": NEUTRAL_CHANNELS})
    bound = [
        s.bind() for stage in subnet_sites(subnet.model_copy(update={"of": neutral})) for s in stage
    ]
    layers = [_form(b) for b in bound if b]
    taps = [{"taps": list(neutral.taps)}] if neutral.taps else []
    return digest([HASH_VERSION, "model", subnet.resolution, layers, *taps])


def _form(bound: tuple[Bound, ...]) -> list[object]:
    forms: list[object] = []
    for item in bound:
        if not isinstance(item, Layer):
            join = [_layer_form(item.join)] if isinstance(item, Residual | Concat) else []
            forms.append([*map(_form, item.branches), *join])
        else:
            forms.append(_layer_form(replace(item, cout=0) if item.kind == "linear" else item))
    return forms


FIELDS = tuple(field.name for field in fields(Layer) if field.compare)
"""What makes a layer what it is; where it comes from does not."""


LATER: dict[str, object] = {"groups": 1, "dilation": 1, "valid": False}
"""Fields that there were none of when hashes began: they say them where they are not as usual."""


def _layer_form(layer: Layer) -> dict[str, object]:
    form = {name: getattr(layer, name) for name in FIELDS}
    for name, usual in LATER.items():
        if form[name] == usual:
            del form[name]
    if layer.kind != "slice":
        del form["start"]
    return form
