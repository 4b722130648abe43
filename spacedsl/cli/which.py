"""spacedsl which: the page that an artifact was made from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from spacedsl.checksum import damaged
from spacedsl.cli.boundary import DIFFERS, FORMAT, Format, emit
from spacedsl.cli.words import wrapped
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import read_bounded
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.library import SUFFIX, library
from spacedsl.lang.page import Loader
from spacedsl.passes.network import subnet_identity

HASH = re.compile(r"[0-9a-f]{64}")
MAX_BYTES = 64 << 20
MAX_PAGES = 2_000
MAX_LEVELS = 4
"""How deep stamps lie in an artifact's JSON."""


def which(
    file: Path = typer.Argument(..., help="A table, journal, plan, ONNX or TFLite file, or page."),
    folders: list[Path] = typer.Option([], "--in", help="More folders with pages; repeatable."),
    format: Format = FORMAT,
) -> None:
    """Tell which pages an artifact was made from, by the hashes stamped into it. Looks at the
    library, beside the file and in --in. Exit 1 if a hash is of none of these pages."""
    stamps = _stamps(file)
    if not stamps:
        help = "tables, journals, plans and exported models carry hashes"
        raise fault("no-stamp", f"{file} carries no page's hash", help)
    pages = _pages([library(), *folders], file.parent)
    found = [{"key": k, "hash": h, "pages": pages.get(h, [])} for k, h in stamps.items()]
    if format is Format.json:
        emit({"file": str(file), "stamps": found})
    else:
        widest = max(len(stamp["key"]) for stamp in found)
        for stamp in found:
            named = ", ".join(stamp["pages"]) or "not a page of these folders"
            print(wrapped(f"{stamp['key']:<{widest}}  {stamp['hash'][:16]}  {named}", "    "))
    if not all(stamp["pages"] for stamp in found):
        raise typer.Exit(DIFFERS)


def _stamps(file: Path) -> dict[str, str]:
    """Hashes in an artifact, by the key they stand under."""
    data = read_bounded(file, MAX_BYTES)
    if file.suffix == SUFFIX:
        return dict(_hashes(file, Loader()))
    if file.suffix == ".onnx":
        return dict(_in_onnx(data, file))
    if file.suffix == ".tflite":
        return dict(_in_tflite(data, file))
    try:
        value = json.loads(data if data.count(b"\n{") == 0 else data.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        raise fault("bad-artifact", f"{file} is neither JSON, a journal, ONNX nor TFLite") from None
    return dict(_in_json(value, "", MAX_LEVELS))


def _in_json(value: Any, key: str, levels: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and _is_stamp(key) and HASH.fullmatch(value):
        yield key, value
    elif isinstance(value, dict) and levels:
        for name, inner in value.items():
            yield from _in_json(inner, f"{key}.{name}" if key else str(name), levels - 1)


def _is_stamp(key: str) -> bool:
    """Keys under which a page's hash stands; tables and journals hold hashes of other things."""
    last = key.rpartition(".")[2]
    return last in ("hash", "hyperspace", "space") or last.endswith("_hash")


def _in_onnx(data: bytes, file: Path) -> Iterator[tuple[str, str]]:
    try:
        import onnx
    except ImportError:
        help = "pip install 'spacedsl[onnx]'"
        raise fault("missing-extra", "reading ONNX files needs onnx", help) from None
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own errors have no common base
        message = f"{file} is not an ONNX file: {error}"
        raise fault("bad-artifact", message) from None
    from spacedsl.compiler.stamp import is_whole

    if not is_whole(data):
        raise fault("bad-artifact", damaged(file))
    for entry in model.metadata_props:
        yield from _in_json(entry.value, entry.key, 0)


def _in_tflite(data: bytes, file: Path) -> Iterator[tuple[str, str]]:
    from spacedsl.compiler.stamp import PREFIX
    from spacedsl.compiler.stamps import tflite_stamp

    for key, value in tflite_stamp(data, str(file)).items():
        yield from _in_json(value, f"{PREFIX}{key}", 0)


def _pages(folders: list[Path], beside: Path) -> dict[str, list[str]]:
    """Items of every readable page, by hash. `beside` is not searched below."""
    paths = [p for folder in folders for p in sorted(folder.rglob(f"*{SUFFIX}"))]
    paths += sorted(beside.glob(f"*{SUFFIX}"))
    found: dict[str, list[str]] = {}
    loader = Loader()
    for path in dict.fromkeys(p.resolve() for p in paths[:MAX_PAGES] if p.is_file()):
        for name, digest in _hashes(path, loader):
            found.setdefault(digest, []).append(f"{_shown(path)}#{name}")
    return found


def _hashes(path: Path, loader: Loader) -> Iterator[tuple[str, str]]:
    """Names and hashes of a page's spaces and models; of those that check."""
    try:
        page = loader.open(path)
    except SpaceError:
        return
    for name in page.names:
        try:
            item = page.get(name)
        except SpaceError:
            continue
        if isinstance(item, Space):
            yield name, space_identity(item)
        elif isinstance(item, Subnet):
            yield name, subnet_identity(item)


def _shown(path: Path) -> str:
    root = library().resolve()
    if path.is_relative_to(root):
        return f"<library>/{path.relative_to(root).as_posix()}"
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
