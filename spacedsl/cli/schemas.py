"""JSON Schemas of what spacedsl reads and writes as JSON: the files in docs/schema/."""

from __future__ import annotations

import json

from pydantic import BaseModel, TypeAdapter

from spacedsl.bridges.model_json import ModelFile
from spacedsl.checksum import KEY
from spacedsl.cli.facts import ShownModel, ShownSpace
from spacedsl.compiler.plans import Int8Plan, NetworkPlan
from spacedsl.compiler.subnets import SubnetData
from spacedsl.compiler.supernet_file import PlanFile
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.tables.schema import TableFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"

TYPES: dict[str, type[BaseModel]] = {
    "ir-space": Space,
    "ir-model": Subnet,
    "ir-target": Target,
    "model": ModelFile,
    "network-plan": NetworkPlan,
    "int8-plan": Int8Plan,
    "supernet-plan": PlanFile,
    "subnet": SubnetData,
    "table": TableFile,
}

SEALED = ("network-plan", "int8-plan", "supernet-plan", "subnet", "table")
"""What is written to files with its checksum in it (`sealed`)."""


def schema_texts() -> dict[str, str]:
    """Name -> text of every schema."""
    schemas = {name: type.model_json_schema(mode="serialization") for name, type in TYPES.items()}
    for name in SEALED:
        schemas[name]["properties"][KEY] = {"description": "CRC-32 of the rest", "type": "string"}
    texts = {name: _text(schema) for name, schema in schemas.items()}
    shown: TypeAdapter[ShownModel | ShownSpace] = TypeAdapter(ShownModel | ShownSpace)
    return {**texts, "show": _text(shown.json_schema(mode="serialization"))}


def _text(schema: dict[str, object]) -> str:
    return json.dumps({"$schema": DIALECT, **schema}, indent=1, sort_keys=True) + "\n"
