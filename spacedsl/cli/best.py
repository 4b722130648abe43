"""What scores by the best networks show: per limit the network, what it is worth, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacedsl.lang.write import write
from spacedsl.lang.written import page_in
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.network import subnet_identity
from spacedsl.search.best.networks import BestScore, Network, beyond_said
from spacedsl.search.protocols import Unit

Tops = tuple[tuple[Network, ...], ...]
"""Per limit the best networks."""

UNCALIBRATED = (
    "1/loss compares networks by this table, but it is no accuracy: `spacedsl tables calibrate` "
    "gives the table one"
)


def best_lines(space: str, target: str, result: BestScore) -> list[str]:
    """A space's score by its best networks: a line, and one per limit."""
    lines = [f"{space} on {target}: {scored(result.score, result.unit)}", *limit_lines(result)]
    return [*lines, UNCALIBRATED] if result.unit == "1/loss" else lines


def scored(score: float, unit: Unit) -> str:
    """A score in words."""
    if unit == "1/loss":
        return f"score {score:.6f} (1/loss of the best networks, summed over the limits)"
    return f"score {score:.2f} (predicted top-1 in % of the best networks, summed over the limits)"


LEAST_OPTIMISM = 0.05
"""Points below which nothing is said of it."""


def optimism_said(network: Network) -> bool:
    """Whether what to expect of a network is told apart from what it is predicted."""
    return network.expected is not None and network.value - network.expected >= LEAST_OPTIMISM


def worth(network: Network, unit: Unit) -> str:
    """What a network is worth, in words."""
    if unit == "1/loss":
        return f"1/loss {network.value:.6f}"
    expected = f" (expect {network.expected:.1f})" if optimism_said(network) else ""
    return f"{network.points} %{expected}"


def limit_lines(result: BestScore) -> list[str]:
    """A line per limit."""
    lines = []
    for limit, networks in zip(result.limits, result.networks, strict=True):
        if not networks:
            lines.append(f"  {limit.limit_ms:6g} ms  no network is that fast")
            continue
        first = networks[0]
        said = worth(first, result.unit)
        mean = f", mean of the best {result.best} {limit.score:.6f}" if result.best > 1 else ""
        missing = f" ({limit.missing} of them missing)" if limit.missing else ""
        lines.append(
            f"  {limit.limit_ms:6g} ms  {said}, {first.latency_ms:.3f} ms, "
            f"{first.subnet.resolution} px{mean}{missing}"
        )
    return [*lines, *beyond_said(result.networks)]


Origin = tuple[Path, str | None]
"""The folder that pages are read from, and the page of their space there, if it is written."""


def best_json(result: BestScore, folder: Path, origin: str | None) -> dict[str, Any]:
    """Plain data without time or path; pages are as they must stand in `folder`."""
    return {
        "score": result.score,
        "unit": result.unit,
        "limits": limits_json(result, folder, origin),
        "scorer": result.scorer,
        "definition": result.settings.definition,
        "best": result.best,
        "weights": list(result.settings.weights),
    }


def limits_json(result: BestScore, folder: Path, origin: str | None) -> list[dict[str, Any]]:
    """Per limit its score and its best network; None where no network is that fast."""
    found = []
    for limit, networks in zip(result.limits, result.networks, strict=True):
        first = networks[0] if networks else None
        calibrated = first is not None and result.unit == "top-1"
        found.append(
            {
                "limit_ms": limit.limit_ms,
                "score": limit.score,
                "missing": limit.missing,
                "model": page_in(folder, first.subnet, origin) if first else None,
                "hash": subnet_identity(first.subnet) if first else None,
                "latency_ms": first.latency_ms if first else None,
                "loss": first.loss if first else None,
                "resolution": first.subnet.resolution if first else None,
                "top1": first.value if first and calibrated else None,
                "top1_sd": first.sd if first and calibrated else None,
                "top1_expected": first.expected if first and calibrated else None,
                "extrapolated": first.extrapolated if first and calibrated else None,
            }
        )
    return found


def tops_json(limits_ms: Sequence[float], tops: Tops, origin: str) -> list[dict[str, Any]]:
    """Per limit the best networks."""
    return [
        {"limit_ms": limit, "models": [_network_json(n, origin) for n in networks]}
        for limit, networks in zip(limits_ms, tops, strict=True)
    ]


def _network_json(network: Network, origin: str) -> dict[str, Any]:
    cost = subnet_cost(network.subnet)
    return {
        "name": network.subnet.name,
        "hash": subnet_identity(network.subnet),
        "resolution": network.subnet.resolution,
        "latency_ms": network.latency_ms,
        "loss": network.loss,
        "value": network.value,
        "sd": network.sd,
        "expected": network.expected,
        "extrapolated": network.extrapolated,
        "flops": cost.flops,
        "params": cost.params,
        "page": page_in(Path(), network.subnet, origin),
    }


def tops_lines(limits_ms: Sequence[float], tops: Tops, unit: Unit) -> list[str]:
    """A line per network, then all of them as one page."""
    lines = ["best networks, of all there are:"] if tops else []
    for limit, networks in zip(limits_ms, tops, strict=False):
        if not networks:
            lines.append(f"  {limit:6g} ms  none is that fast")
        lines += [
            f"  {limit:6g} ms  {n.subnet.name}: {worth(n, unit)}, "
            f"{n.latency_ms:.3f} ms, {n.subnet.resolution} px, "
            f"{subnet_cost(n.subnet).flops / 1e6:,.1f}M FLOPs"
            for n in networks
        ]
    lines += beyond_said(tops)
    models = [n.subnet for networks in tops for n in networks]
    return [*lines, write(*models).rstrip()] if models else lines
