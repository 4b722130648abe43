"""Read a directory of published lookup tables against its hyperspace.

One file per (elastic stage, block type, window), `stage<stage>_<block>_<window>.csv`; stages count
from 1, blocks and windows from 0, in the hyperspace's order. A line is `k#w#e_k#w#e...`,
`1xCINxHxW`, NSR loss, FLOPs (M), parameters (M), INT8 latency (ms)."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import read_bounded
from spacedsl.ir.block import Value
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.operators.size import Pair, Size, as_number
from spacedsl.passes.stage_sizes import stage_sizes
from spacedsl.tables.solve import Floats, Ints

FILE_NAME = re.compile(r"stage([1-9][0-9]?)_([0-9]{1,2})_([0-9]{1,3})\.csv")
SHAPE = re.compile(r"1x([1-9][0-9]{0,4})x([1-9][0-9]{0,3})x([1-9][0-9]{0,3})")
MAX_FILE_BYTES = 64 << 20
HELD_OUT = 2
"""Rows are dealt into ten parts by the hash of their text; parts below this are held out."""

Block = tuple[int, tuple[float, ...]]
"""Width and settings as numbers, in the order of `BlockChoice.chosen`."""


@dataclass(frozen=True, slots=True)
class SubstageRows:
    """The N rows of one file, at most D blocks of P settings each. `size`: of the stage's
    input in pixels, as a number; `resolution`: of the network; blocks past `depth` are 0."""

    number: int
    choice: int
    window: int
    size: Ints | Floats
    resolution: Ints | Floats
    cin: Ints
    depth: Ints
    widths: Ints  # (N, D)
    settings: Floats  # (N, D, P)
    loss: Floats
    flops_m: Floats
    params_m: Floats
    latency_ms: Floats
    part: NDArray[np.uint8]  # 0..9, by hash of the row

    def __len__(self) -> int:
        return len(self.size)

    @property
    def last_width(self) -> Ints:
        """Output channels of the stage, (N,)."""
        return self.widths[np.arange(len(self)), self.depth - 1]

    def take(self, mask: NDArray[np.bool_]) -> SubstageRows:
        """The rows where `mask` (N,) holds."""
        arrays = {
            name: getattr(self, name)[mask]
            for name in self.__slots__
            if name not in {"number", "choice", "window"}
        }
        return replace(self, **arrays)


def fitted(files: Iterable[SubstageRows]) -> tuple[SubstageRows, ...]:
    """The rows a held-out fit may see."""
    return tuple(rows.take(rows.part >= HELD_OUT) for rows in files)


def held_out(files: Iterable[SubstageRows]) -> tuple[SubstageRows, ...]:
    """The rows a held-out fit is judged by."""
    return tuple(rows.take(rows.part < HELD_OUT) for rows in files)


def elastic_stage(space: Space, number: int) -> Stage:
    """Elastic stage `number`, from 1. Raises `IndexError`."""
    return space.stages[space.elastic[number - 1]]


def read_directory(directory: Path, space: Space) -> tuple[SubstageRows, ...]:
    """All tables of a directory, in order of (stage, block, window). Raises `SpaceError` with
    file and line for whatever does not belong to `space`."""
    if not directory.is_dir():
        raise fault("table-missing", f"{directory} is not a directory")
    files = sorted(_named(directory, space), key=lambda item: item[1])
    if not files:
        raise fault(
            "table-missing",
            f"no table in {directory}",
            "files are named stage<i>_<block>_<window>.csv",
        )
    raw = [(path, key, _parse_file(path, space, key)) for path, key in files]
    if not any(lines for _, _, lines in raw):
        raise fault("table-missing", f"the tables in {directory} have no rows")
    sizes = _size_map(raw, space)
    return tuple(_assemble(path, key, lines, space, sizes) for path, key, lines in raw)


Key = tuple[int, int, int]


def _named(directory: Path, space: Space) -> Iterator[tuple[Path, Key]]:
    for path in directory.glob("*.csv"):
        found = FILE_NAME.fullmatch(path.name)
        if found is None:
            raise fault(
                "table-name", f"{path}: not a table's name", "stage<i>_<block>_<window>.csv"
            )
        number, choice, window = (int(part) for part in found.groups())
        if number > len(space.elastic):
            raise fault(
                "table-name", f"{path}: {space.name} has {len(space.elastic)} elastic stages"
            )
        stage = elastic_stage(space, number)
        if choice >= len(stage.choices) or window >= len(stage.windows):
            raise fault(
                "table-name",
                f"{path}: {stage.name} has {len(stage.choices)} block types and "
                f"{len(stage.windows)} windows, numbered from 0",
            )
        yield path, (number, choice, window)


@dataclass(frozen=True, slots=True)
class _Line:
    blocks: tuple[Block, ...]
    cin: int
    size: int
    numbers: tuple[float, float, float, float]
    part: int


def _parse_file(path: Path, space: Space, key: Key) -> list[_Line]:
    stage = elastic_stage(space, key[0])
    parse_block = _block_parser(stage.choices[key[1]], stage.windows[key[2]])
    try:
        text = read_bounded(path, MAX_FILE_BYTES).decode("ascii")
    except UnicodeDecodeError as error:
        raise fault("table-row", f"{path} is no text table: {error}") from None
    lines = [
        _parse_line(f"{path}:{number}", line, parse_block)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    for number, line in enumerate(lines, 1):
        if len(line.blocks) not in stage.depths:
            raise fault(
                "table-row", f"{path}: row {number}: {stage.name} has no depth {len(line.blocks)}"
            )
    return lines


def _parse_line(where: str, line: str, parse_block: Callable[[str], Block]) -> _Line:
    fields = line.strip().split(",")
    if len(fields) != 6:
        raise fault("table-row", f"{where}: {len(fields)} columns instead of 6")
    shape = SHAPE.fullmatch(fields[1])
    if shape is None or shape[2] != shape[3]:
        raise fault("table-row", f"{where}: {fields[1]!r} is not a shape 1xCxHxH")
    try:
        blocks = tuple(parse_block(item) for item in fields[0].split("_"))
        loss, flops, params, latency = (float(field) for field in fields[2:])
    except ValueError as error:
        raise fault("table-row", f"{where}: {error}") from None
    numbers = (loss, flops, params, latency)
    if not all(math.isfinite(value) and value > 0 for value in numbers):
        raise fault("table-row", f"{where}: losses, costs and latencies are positive numbers")
    part = hashlib.sha256(line.strip().encode()).digest()[0] % 10
    return _Line(blocks, int(shape[1]), int(shape[2]), numbers, part)


def _block_parser(choice: BlockChoice, widths: Sequence[int]) -> Callable[[str], Block]:
    chosen = choice.chosen
    known: dict[str, Block] = {}

    def parse(item: str) -> Block:
        if item in known:
            return known[item]
        parts = item.split("#")
        if len(parts) != 3 or not parts[1].isdecimal():
            raise ValueError(f"{item!r} is not kernel#width#expand")
        if int(parts[1]) not in widths:
            raise ValueError(f"width {parts[1]} is not in the window {min(widths)}..{max(widths)}")
        texts = [text for text in (parts[0], parts[2]) if text != "None"]
        if len(texts) != len(chosen):
            raise ValueError(f"{item!r}: the block type has {len(chosen)} parameters")
        values = tuple(float(text) for text in texts)
        for arg, value in zip(chosen, values, strict=True):
            if value not in arg.values:
                raise ValueError(f"{item!r}: {arg.name} {value:g} is not offered")
        known[item] = (int(parts[1]), values)
        return known[item]

    return parse


def _size_map(
    raw: Sequence[tuple[Path, Key, list[_Line]]], space: Space
) -> Mapping[int, Mapping[int, int]]:
    """Per elastic stage: input height -> resolution. Strides make some resolutions meet in deep
    stages (208 and 224 both end at 7), so the first elastic stage read decides which are used."""
    if any(isinstance(size, Pair) for size in space.resolutions):
        raise fault("table-row", f"{space.name}: tables of this format are of square images")
    heights = {int(as_number(r)): stage_sizes(space, r) for r in space.resolutions}
    first = min(key[0] for _, key, _ in raw)
    position = space.elastic[first - 1]
    seen = {line.size for _, key, lines in raw if key[0] == first for line in lines}
    used = [r for r in heights if heights[r][position] in seen]
    return {
        number: {int(as_number(heights[r][at])): r for r in used}
        for number, at in enumerate(space.elastic, 1)
    }


def resolutions_of(files: Iterable[SubstageRows], space: Space) -> tuple[Size, ...]:
    """The resolutions of a space that rows have."""
    seen = {float(r) for rows in files for r in np.unique(rows.resolution)}
    return tuple(r for r in space.resolutions if as_number(r) in seen)


def _assemble(
    path: Path, key: Key, lines: list[_Line], space: Space, sizes: Mapping[int, Mapping[int, int]]
) -> SubstageRows:
    stage = elastic_stage(space, key[0])
    count, deepest = len(lines), stage.depths[-1]
    settings = np.zeros((count, deepest, len(stage.choices[key[1]].chosen)))
    widths = np.zeros((count, deepest), dtype=np.int64)
    known = sizes[key[0]]
    for i, line in enumerate(lines):
        if line.size not in known:
            raise fault(
                "table-row", f"{path}: row {i + 1}: no resolution gives a height of {line.size}"
            )
        for d, (width, values) in enumerate(line.blocks):
            widths[i, d] = width
            settings[i, d] = values
    numbers = np.array([line.numbers for line in lines]).reshape(count, 4)

    def integers(values: Iterable[int]) -> Ints:
        return np.fromiter(values, dtype=np.int64, count=count)

    return SubstageRows(
        *key,
        size=integers(line.size for line in lines),
        resolution=integers(known[line.size] for line in lines),
        cin=integers(line.cin for line in lines),
        depth=integers(len(line.blocks) for line in lines),
        widths=widths,
        settings=settings,
        loss=numbers[:, 0],
        flops_m=numbers[:, 1],
        params_m=numbers[:, 2],
        latency_ms=numbers[:, 3],
        part=np.array([line.part for line in lines], dtype=np.uint8),
    )


def settings_of(choice: BlockChoice, values: Sequence[float]) -> tuple[tuple[str, Value], ...]:
    """Named settings of one block, as a `Site` carries them."""
    return tuple(
        (arg.name, arg.values[[as_number(v) for v in arg.values].index(value)])
        for arg, value in zip(choice.chosen, values, strict=True)
    )


__all__ = [
    "SpaceError",
    "SubstageRows",
    "elastic_stage",
    "fitted",
    "held_out",
    "read_directory",
    "settings_of",
]
