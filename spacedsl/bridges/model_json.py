"""A model as one JSON file: the network and the flat space it is of, with its hash."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.ir.expr import Frozen
from spacedsl.ir.subnet import Subnet
from spacedsl.json_files import first_mistake
from spacedsl.lang.library import library
from spacedsl.lang.page import Loader
from spacedsl.lang.resolve import flattened
from spacedsl.lang.write import write
from spacedsl.passes.network import subnet_identity
from spacedsl.text import Source


class ModelFile(Frozen):
    """The file. `hash` is the model's content hash."""

    format: Literal["spacedsl-model"] = "spacedsl-model"
    version: Literal[1] = 1
    hash: str = Field(pattern="^[0-9a-f]{64}$")
    model: Subnet


def model_text(subnet: Subnet) -> str:
    """The JSON of a model: the same bytes for the same network, space and names."""
    flat = subnet.model_copy(update={"of": flattened(subnet.of)})
    return ModelFile(hash=subnet_identity(subnet), model=flat).model_dump_json(indent=2) + "\n"


def model_of(text: str, shown: str) -> Subnet:
    """The model of such a file; `shown` names it in errors. What a stranger's JSON says must read
    back from the page that says it. Raises `SpaceError`."""
    try:
        found = ModelFile.model_validate_json(text)
    except ValidationError as error:
        raise fault("bad-import", f"{shown} is not a model: {first_mistake(error)}") from None
    try:
        page = write(found.model.of, found.model)
        subnet = Loader().parse(Source(shown, page), library()).get(found.model.name)
    except (SpaceError, LookupError, ValueError, ArithmeticError) as error:
        why = error.diagnostics[0].message if isinstance(error, SpaceError) else str(error)
        raise fault("bad-import", f"no page can say the model of {shown}: {why}") from None
    if subnet != found.model:
        message = (
            f"no page can say the model of {shown}: names or values that are not of the language"
        )
        raise fault("bad-import", message)
    hash = subnet_identity(found.model)
    if hash != found.hash:
        message = f"{shown} says hash {found.hash[:16]}, but its model has {hash[:16]}"
        raise fault("wrong-hash", message, "the file was changed; export it again")
    return found.model
