"""Plans of a model: its network, and its INT8 graph for a target. JSON, versioned, stamped.

A plan's text is canonical: the same page gives the same bytes. Loaders refuse what is not exactly
of this version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import ValidationError

from spacedsl.checksum import KEY, unsealed
from spacedsl.compiler.graph import Graph, Output, lower
from spacedsl.compiler.int8 import Int8Graph, Int8Node, quantise_graph
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import read_json
from spacedsl.ir.expr import Frozen
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.json_files import first_mistake
from spacedsl.lang.write import write
from spacedsl.passes.network import subnet_identity
from spacedsl.passes.taps import lacks_head
from spacedsl.runtimes.rules import Rules
from spacedsl.version import __version__

OWN_HEAD = "train and evaluate it with a head of your own: docs/howto/detector.md"
"""What to do with a network that gives maps."""

FORMAT: Final = 1
"""Version of the plans of a model."""


class Origin(Frozen):
    """What a plan was made from: the model's page and hash, and its space's hash."""

    model: str
    hash: str
    text: str
    space: str
    space_hash: str
    spacedsl: str = __version__


class NetworkPlan(Frozen):
    """A model's network."""

    format: Literal[1] = FORMAT
    kind: Literal["network"] = "network"
    origin: Origin
    graph: Graph


class Int8Plan(Frozen):
    """A model's INT8 graph. `target` is "" where only a runtime was named."""

    format: Literal[1] = FORMAT
    kind: Literal["int8"] = "int8"
    origin: Origin
    target: str
    rules: Rules
    network: Graph
    graph: Int8Graph

    def outputs(self) -> tuple[tuple[Output, Int8Node], ...]:
        """Every output of the network, and the node that holds it in 8 bits."""
        holding = {node.value: node for node in self.graph.nodes if node.value}
        return tuple((output, holding[output.node.name]) for output in self.network.outputs)

    def for_data(self, channels: int, classes: int | None) -> Self:
        """The plan of the same network for images of so many channels and classes; None where it
        does not classify."""
        parts: dict[str, Graph | Int8Graph] = {}
        for name, part in (("network", self.network), ("graph", self.graph)):
            image, *inner, last = part.nodes
            image = replace(image, shape=(channels, *image.shape[1:]))
            if classes is not None:
                last = replace(last, shape=(classes, *last.shape[1:]))
            parts[name] = part.model_copy(update={"nodes": (image, *inner, last)})
        return self.model_copy(update=parts)


Plan = TypeVar("Plan", NetworkPlan, Int8Plan)


def origin_of(subnet: Subnet) -> Origin:
    """The stamp of a model."""
    return Origin(
        model=subnet.name,
        hash=subnet_identity(subnet),
        text=write(subnet),
        space=subnet.of.name,
        space_hash=space_identity(subnet.of),
    )


def network_plan(subnet: Subnet) -> NetworkPlan:
    """The network plan of a model. Raises `BindError`, `SpaceError` for one without a head."""
    need_head(subnet)
    return NetworkPlan(origin=origin_of(subnet), graph=lower(subnet))


def need_head(subnet: Subnet) -> None:
    """Raises `SpaceError` for a network that ends in a map and names no taps: files and losses are
    of logits, unless the page says of which maps."""
    lacking = lacks_head(subnet)
    if lacking is not None:
        raise fault("no-head", *lacking)


def need_logits(space: Space, what: str) -> None:
    """Raises `SpaceError` for a space with taps; `what` compares logits with labels."""
    if space.taps:
        message = f"`{space.name}` has taps in place of a head, and {what} needs logits"
        raise fault("no-head", message, OWN_HEAD)


def int8_plan(network: NetworkPlan, rules: Rules, target: Target | None = None) -> Int8Plan:
    """The INT8 plan of a network under a runtime's rules. Raises `SpaceError`."""
    return Int8Plan(
        origin=network.origin,
        target=target.name if target else "",
        rules=rules.for_acts({node.act for node in network.graph.nodes if node.act}),
        network=network.graph,
        graph=quantise_graph(network.graph, rules),
    )


def plan_text(plan: NetworkPlan | Int8Plan) -> str:
    """The plan as a file: one node a line would be compact, one field a line diffs best."""
    return plan.model_dump_json(indent=1, exclude_defaults=False) + "\n"


def load_plan(path: Path, kind: type[Plan]) -> Plan:
    """Read a plan. Raises `SpaceError` for a file that is missing, large, truncated, of another
    version or of another kind."""
    return plan_of_json(unsealed(read_json(path, _bad), path, _bad), kind, str(path))


def plan_of_json(data: Mapping[str, Any], kind: type[Plan], where: str = "the plan") -> Plan:
    """The plan of which `data` is the JSON object; `where` names it in errors. Raises
    `SpaceError`."""
    found = (data.get("kind"), data.get("format"))
    wanted = (kind.model_fields["kind"].default, FORMAT)
    if found != wanted:
        have, need = (f"kind {name!r}, format {version!r}" for name, version in (found, wanted))
        raise _bad(f"{where} is of {have}; what is needed is of {need}")
    if KEY in data:
        data = unsealed(data, where, _bad)
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _bad(f"{where}: {first_mistake(error)}") from None


def _bad(message: str) -> SpaceError:
    return fault("bad-plan", message, "make it again with `spacedsl compile MODEL [--target T]`")
