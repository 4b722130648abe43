"""JSON into frozen dataclasses, strictly: every field there, no other, every type as declared."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from spacedsl_runtime.errors import SpacedslError

MAX_BYTES = 64 << 20

T = TypeVar("T")


def read_json(path: Path, mistake: Callable[[str], SpacedslError]) -> dict[str, Any]:
    """The JSON object in a file; `mistake` makes the error from its message."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise mistake(f"{path} is larger than {MAX_BYTES >> 20} MB")
        data = json.loads(text.decode())
    except OSError as error:
        raise mistake(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise mistake(f"{path} is no JSON, or cut short: {error}") from None
    if not isinstance(data, dict):
        raise mistake(f"{path} holds no JSON object")
    return data


def check_stamp(
    data: dict[str, Any], format: str, version: int, mistake: Callable[[str], SpacedslError]
) -> None:
    """Refuse another format or version, naming both."""
    found = (data.get("format"), data.get("version"))
    if found != (format, version):
        have = f"format {found[0]!r}, version {found[1]!r}"
        raise mistake(f"this runtime reads format {format!r}, version {version}; it is {have}")


class Mismatch(Exception):
    """Data of another shape; the message begins with where."""


def build(kind: type[T], data: object, where: str = "", more: bool = False) -> T:
    """`data` as dataclass `kind`; it may have `more` fields than that. Raises `Mismatch`."""
    if not isinstance(data, dict):
        raise Mismatch(f"{where or 'the file'}: not an object")
    hints = typing.get_type_hints(kind)
    names = {f.name for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    if more:
        data = {name: value for name, value in data.items() if name in names}
    if data.keys() != names:
        wrong = sorted(names ^ data.keys())[0]
        state = "missing" if wrong in names else "unknown"
        raise Mismatch(f"{where or 'the file'}: `{wrong}` is {state}")
    values = {n: _value(hints[n], data[n], f"{where}.{n}" if where else n, more) for n in names}
    return kind(**values)


def _value(hint: Any, data: object, where: str, more: bool) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _value(args[0], data, where, more)
    if origin is Literal:
        if data not in args:
            raise Mismatch(f"{where}: {data!r} is not one of {', '.join(map(repr, args))}")
        return data
    if origin in (types.UnionType, typing.Union):
        return _union(args, data, where, more)
    if origin is tuple:
        return _tuple(args, data, where, more)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type[Any], hint), data, where, more)
    if hint is float and type(data) is int:
        return data
    if type(data) is not hint:
        raise Mismatch(f"{where}: {data!r} is no {hint.__name__}")
    return data


def _tuple(args: tuple[Any, ...], data: object, where: str, more: bool) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise Mismatch(f"{where}: not a list")
    if args[-1] is Ellipsis:
        return tuple(_value(args[0], v, f"{where}[{i}]", more) for i, v in enumerate(data))
    if len(args) != len(data):
        raise Mismatch(f"{where}: {len(data)} entries instead of {len(args)}")
    pairs = zip(args, data, strict=True)
    return tuple(_value(a, v, f"{where}[{i}]", more) for i, (a, v) in enumerate(pairs))


def _union(args: tuple[Any, ...], data: object, where: str, more: bool) -> Any:
    """Dataclasses are told apart by `op`, anything else by its type."""
    classes = [a for a in args if dataclasses.is_dataclass(a)]
    if isinstance(data, dict) and classes:
        if len(classes) == 1:
            return _value(classes[0], data, where, more)
        for kind in classes:
            if data.get("op") in typing.get_args(typing.get_type_hints(kind)["op"]):
                return _value(kind, data, where, more)
        raise Mismatch(f"{where}: unknown op {data.get('op')!r}")
    for arg in args:
        if arg in classes:
            continue
        try:
            return _value(arg, data, where, more)
        except Mismatch:
            continue
    names = " or ".join(getattr(a, "__name__", str(a)) for a in args)
    raise Mismatch(f"{where}: {data!r} is no {names}")
