"""Files of JSON with a checksum in them: a flipped bit is an error when they are read."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from spacedsl.checksum import KEY, sealed, unsealed
from spacedsl.diagnostics import fault

T = TypeVar("T", bound=BaseModel)


def sealed_text(text: str) -> str:
    """The text of a JSON object with its checksum as last entry, else as it is laid out."""
    found = sealed(json.loads(text))[KEY]
    body = text.rstrip().removesuffix("}").rstrip()
    return f'{body},\n "{KEY}": "{found}"\n}}\n'


def first_mistake(error: ValidationError, whole: str = "the file") -> str:
    """Where an object is of another form first, and why; `whole` names all of it."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or whole
    return f"{where}: {first['msg']}"


def read_sealed(kind: type[T], data: bytes, path: Path | str, code: str) -> T:
    """The object in a file that `sealed_text` wrote. Raises `ValidationError` where it is of
    another form, and `SpaceError` with `code` where it is not as it was written."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return kind.model_validate_json(data)  # which says what is wrong
    if not isinstance(value, dict):
        return kind.model_validate(value)
    found = kind.model_validate({name: part for name, part in value.items() if name != KEY})
    unsealed(value, path, partial(fault, code))
    return found
