"""Our kernels as nn-Meter 2.0 says them: its units, its names, its features.

nn-Meter adds up predictors by name and leaves out, without a word, every unit that it has no
features or no predictor for. So what it cannot say is told apart here, before it is asked."""

from __future__ import annotations

from typing import Any

from spacedsl.operators.size import as_number, pair
from spacedsl.passes.kernels import Kernel

PREDICTORS = {
    "conv-bn-relu": "conv-bn-relu",
    "dwconv-bn-relu": "dwconv-bn-relu",
    "fc": "fc",
    "global-avgpool": "global-avgpool",
    "maxpool": "maxpool",
    "avgpool": "avgpool",
    "hswish": "hswish",
    "se": "se",
    "add": "add",
    "add-relu": "addrelu",
}
"""Kind of kernel -> the predictor that nn-Meter asks for it. Others count 0 ms there."""


def unit(kernel: Kernel) -> dict[str, Any]:
    """A kernel as a unit of nn-Meter's kernel detector. It knows no squeeze width."""
    kind, cin, cout = kernel.kind, kernel.cin, kernel.cout
    height, width = pair(kernel.size)
    image = [1, height, width, cin]
    found: dict[str, Any] = {"op": kind, "cin": cin, "inputh": height, "inputw": width}
    if "conv" in kind or "pool" in kind:
        window, stride = list(pair(kernel.kernel)), list(pair(kernel.stride))
        return found | {"cout": cout, "ks": window, "strides": stride}
    if kind == "fc":
        return found | {"cout": cout}
    count = 2 if kind.startswith("add") else 1
    return found | {"input_tensors": [image] * count}


def features(kernel: Kernel) -> tuple[float, ...]:
    """What nn-Meter makes of `unit(kernel)`. Raises `KeyError` for a kind that it makes nothing of.

    Its height of a global pool's input is always 1 (it looks for an attribute of a dict)."""
    kind, cin, cout = kernel.kind, kernel.cin, kernel.cout
    size, window, stride = map(as_number, (kernel.size, kernel.kernel, kernel.stride))
    match PREDICTORS[kind]:
        case "conv-bn-relu" | "dwconv-bn-relu" as name:
            fan = cin if name == "conv-bn-relu" else 1
            params = cout * (window * window * fan + 1)
            flops = 2 * size / stride * size / stride * params
            return (size, cin, cout, window, stride, flops / 2e6, params / 1e6)
        case "fc":
            flops = (2 * cin + 1) * cout
            return (cin, cout, flops / 2e6, flops / 1e6)
        case "maxpool" | "avgpool":
            return (size, cin, cout, window, stride)
        case "global-avgpool":
            return (1, cin)
        case "add" | "addrelu":
            return (size, cin, cin)
        case _:
            return (size, cin)
