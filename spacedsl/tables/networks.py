"""Networks with a measured number: rows of a CSV, or the subnets that a search valued.

A CSV's first column is `code` (a code of a benchmark or of the method's authors) or `page` (a path
from the CSV, or a name of the library); one other column holds the number."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spacedsl.bridges.benchmarks import Known, benchmark_of, benchmark_subnet
from spacedsl.diagnostics import SpaceError, fault, one_of, suggest
from spacedsl.figures import counted
from spacedsl.files import read_bounded
from spacedsl.ir.block import Value
from spacedsl.ir.covers import subnet_mismatch
from spacedsl.ir.identity import block_identity, normal_ops
from spacedsl.ir.space import Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.lang.codes import is_model_code, subnet_from_code
from spacedsl.lang.load import load
from spacedsl.lang.memo import Memo
from spacedsl.search.sealed_lines import unsealed_line

MAX_BYTES = 64 << 20
SHOWN = 8
"""Lines that one error names."""

FIRST = ("code", "page")
"""What the first column may be called."""

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
"""What separates columns in files that are no CSV."""

PER_SECOND = "_img_s"
"""Columns of throughputs, in images a second, end in this."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network of a hyperspace, what was measured of it, and how much the row counts. `line`:
    where it stands."""

    line: int
    subnet: Subnet
    value: float
    weight: float = 1.0


def read_accuracies(
    path: Path, space: Space, column: str = "top1", weights: str | None = None
) -> tuple[Network, ...]:
    """Accuracies in percent, of a CSV or of a search's journal. Raises one `SpaceError` that names
    the lines that cannot be used."""
    text = _text(path)
    if text.startswith("{"):
        return _collected(path, _journal_rows(path, text, space))
    return _collected(path, _rows(path, text, space, (column, weights), _percent))


def read_latencies(path: Path, space: Space, column: str) -> tuple[Network, ...]:
    """Latencies in milliseconds, or throughputs in images a second turned into them. Rows whose
    cell is empty were not measured. Raises one `SpaceError` that names the lines that cannot be
    used."""
    parse = _throughput if column.endswith(PER_SECOND) else _milliseconds
    text = _text(path)
    return _collected(path, _rows(path, text, space, (column, None), parse, empty=True))


Row = Network | tuple[int, str]
"""A row, or what is wrong with a line."""


def _text(path: Path) -> str:
    try:
        return read_bounded(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        help = "save it as UTF-8: spreadsheets call it `CSV UTF-8`"
        raise fault("table-row", f"{path} is not text in UTF-8", help) from None


def _collected(path: Path, rows: Iterator[Row]) -> tuple[Network, ...]:
    networks: list[Network] = []
    wrong: list[tuple[int, str]] = []
    for row in rows:
        if isinstance(row, Network):
            networks.append(row)
        else:
            wrong.append(row)
    if wrong:
        listed = "".join(f"\n    line {line}: {why}" for line, why in wrong[:SHOWN])
        rest = wrong[SHOWN:]
        more = f"\n    and {len(rest):,} more, up to line {rest[-1][0]}" if rest else ""
        lines = counted(len(wrong), "line")
        raise fault("table-row", f"{path}: {lines} cannot be used:{listed}{more}")
    if not networks:
        raise fault("table-row", f"{path} has no rows")
    return tuple(networks)


def _rows(
    path: Path,
    text: str,
    space: Space,
    columns: tuple[str, str | None],
    parse: Callable[[str], float],
    *,
    empty: bool = False,
) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=None))
    heads = _heads(path, reader)
    kind = heads[0]
    at = _column(path, heads, columns[0], "--column")
    weight_at = _column(path, heads, columns[1], "--weight-column")
    seen = _Seen()
    try:
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heads):
                yield line, f"the number of cells is {len(cells)}, not {len(heads)}"
                continue
            if empty and not cells[at].strip():
                continue
            try:
                weight = _weight(cells[weight_at]) if columns[1] else 1.0
                value = parse(cells[at])
                subnet = _network(cells[0].strip(), kind, path.parent, space, seen)
            except ValueError as error:
                yield line, str(error)
            else:
                yield Network(line, subnet, value, weight)
    except csv.Error as error:
        yield reader.line_num, str(error)


def _heads(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        heads = [head.strip() for head in next(reader, [])]
    except csv.Error as error:
        raise fault("table-row", f"{path}: line 1: {error}") from None
    if not heads or heads[0] not in FIRST:
        said = f"the first column is `{heads[0][:40]}`" if any(heads) else "it is empty"
        raise fault("table-row", f"{path}: line 1: {said}", _how_to_begin(heads))
    return heads


def _how_to_begin(heads: Sequence[str]) -> str:
    first = heads[0] if heads else ""
    for separator, name in SEPARATORS.items():
        if separator in first:
            return f"commas separate the columns, not {name}; decimals have a point"
    for place, head in enumerate(heads):
        if (kind := head.lower()) in FIRST:
            return f"move the column `{head}` to the front" if place else f"write `{kind}`"
    return (
        "the first line names the columns, the first of which is `code` or `page`; commas "
        "separate them"
    )


def _column(path: Path, heads: list[str], name: str | None, option: str) -> int:
    if name is None:
        return 0
    if heads[1:].count(name) > 1:
        message = f"{path}: line 1: there are several columns `{name[:40]}`"
        raise fault("table-row", message, "leave out all but one")
    if name in heads[1:]:
        return heads.index(name, 1)
    close = suggest(name, heads[1:])
    if close:
        help = f"did you mean `{close}`? Then say {option} {close}"
    else:
        help = f"it has {one_of(heads)}: say {option} and the one that is meant"
    raise fault("table-row", f"{path}: line 1: there is no column `{name[:40]}`", help)


def _number(cell: str) -> float:
    said = cell.strip()
    value = _finite(said)
    if value is not None:
        return value
    if not said:
        raise ValueError("the cell is empty; leave out the row of what was not measured")
    plain = said.removesuffix("%").strip().replace(",", ".")
    hint = "" if _finite(plain) is None else f"; write {plain}?"
    raise ValueError(f"{said[:40]!r} is not a number{hint}")


def _finite(text: str) -> float | None:
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _percent(cell: str) -> float:
    value = _number(cell)
    if 0 < value <= 1:
        percent = f"{100 * value:g}"
        raise ValueError(f"{cell.strip()[:20]} is no accuracy in percent; write {percent}?")
    if not 0 < value < 100:
        raise ValueError(f"{cell.strip()[:20]} is no accuracy in percent")
    return value


def _milliseconds(cell: str) -> float:
    value = _number(cell)
    if value <= 0:
        raise ValueError(f"{cell.strip()[:20]} is no latency in milliseconds")
    return value


def _throughput(cell: str) -> float:
    value = _number(cell)
    if value <= 0:
        raise ValueError(f"{cell.strip()[:20]} is no number of images a second")
    return 1000.0 / value


def _weight(cell: str) -> float:
    value = _number(cell)
    if value <= 0:
        raise ValueError(f"{cell.strip()[:20]} is no weight, which is above 0")
    return value


@dataclass(frozen=True, slots=True)
class _Seen:
    """Keeps which parts of codes are in the space, and the pages read so far, for later rows."""

    codes: Known = field(default_factory=set)
    pages: Memo = field(default_factory=Memo)


def _network(said: str, kind: str, folder: Path, space: Space, seen: _Seen) -> Subnet:
    """Raises `ValueError` in one line."""
    if not said:
        raise ValueError(f"there is no {kind}: its cell is empty")
    try:
        if kind == "page":
            return _of_page(said, folder, space, seen.pages)
        if benchmark_of(said) is not None:
            return benchmark_subnet(said, space, said, seen.codes)
        if is_model_code(said):
            return subnet_from_code(said, space, said)
    except SpaceError as error:
        raise ValueError(_in_a_line(error)) from None
    raise ValueError(f"{said[:40]!r} is no code of a network")


def _in_a_line(error: SpaceError) -> str:
    """What is wrong; of a page that a row names also where in it."""
    found = error.diagnostics[0]
    where = f"{found.place.file}:{found.place.line}: " if found.place else ""
    return where + " ".join(found.message.split())


def _of_page(said: str, folder: Path, space: Space, pages: Memo) -> Subnet:
    where, hash_, item = said.partition("#")
    beside = folder / where
    item_of = load(f"{beside}{hash_}{item}" if beside.is_file() else said, pages)
    if not isinstance(item_of, Subnet):
        raise ValueError(f"{said[:80]} is no model")
    return member_of(space, item_of)


def member_of(space: Space, subnet: Subnet) -> Subnet:
    """`subnet` as a network of `space`, whose block types have numbers and names of their own.
    Raises `SpaceError` where it is none of them."""
    found = subnet_mismatch(space, subnet)
    if found is not None:
        where = f"{found.stage}: " if found.stage else ""
        message = f"{subnet.name} is not one of {space.name}'s: {where}{found.reason}"
        raise fault("not-a-member", message)
    stages = tuple(_as_in(stage, subnet, p) for p, stage in enumerate(space.stages))
    return subnet.model_copy(update={"of": space, "stages": stages})


def _as_in(stage: Stage, subnet: Subnet, position: int) -> SubnetStage:
    mine, said = subnet.choice(position), subnet.stages[position]
    number = [block_identity(c) for c in stage.choices].index(block_identity(mine))
    choice = stage.choices[number]
    role = normal_ops(mine)[1]
    name_of = {role[name]: name for name in role}
    theirs = normal_ops(choice)[1]

    def setting(block: SubnetBlock, name: str, least: Value) -> Setting:
        known = name_of.get(theirs.get(name, ""))
        return Setting(name=name, value=least if known is None else block.setting(known))

    blocks = tuple(
        SubnetBlock(
            width=block.width,
            settings=tuple(setting(block, arg.name, arg.values[0]) for arg in choice.chosen),
        )
        for block in said.blocks
    )
    return SubnetStage(choice=number, blocks=blocks)


def _journal_rows(path: Path, text: str, space: Space) -> Iterator[Row]:
    """A search's journal: a header, then lines of a subnet in few words and its accuracy, a share
    (see `spacedsl.flows.search`). As where a search is resumed, a torn last line is not one."""
    lines = text.encode().split(b"\n")[:-1]
    try:
        head = unsealed_line(lines[0] + b"\n")
    except (ValueError, IndexError):
        head = None
    images = head.get("images") if isinstance(head, dict) and "subnets" in head else None
    if type(images) is not int or images < 1:
        help = "a CSV whose first line names the columns, or the search.jsonl of `spacedsl search`"
        raise fault("table-row", f"{path}: line 1: this is no journal of valued subnets", help)
    for number, line in enumerate(lines[1:], 2):
        try:
            key, value = unsealed_line(line + b"\n")
            if type(value) is not float or not 0 <= value <= 1:
                raise ValueError(f"{value!r} is no accuracy")
            subnet = _of_key(str(key), space)
        except (ValueError, TypeError, SpaceError) as error:
            why = _in_a_line(error) if isinstance(error, SpaceError) else error
            yield number, str(why)
        else:
            yield Network(number, subnet, percent_of(value, images))


def percent_of(share: float, images: int) -> float:
    """An accuracy that is a share of `images`. All right counts as half an image worse, and all
    wrong as half an image better, since the model knows no error of 0."""
    least = 0.5 / images
    return 100.0 * min(max(share, least), 1 - least)


def _of_key(key: str, space: Space) -> Subnet:
    resolution, *words = key.split(";")
    if len(words) != len(space.stages):
        raise ValueError(f"{len(words)} stages; {space.name} has {len(space.stages)}")
    stages = tuple(_keyed(s, word) for s, word in zip(space.stages, words, strict=True))
    subnet = Subnet(name="valued", of=space, resolution=int(resolution), stages=stages)
    return member_of(space, subnet)


def _keyed(stage: Stage, word: str) -> SubnetStage:
    chosen = stage.choices[0].chosen
    if len(stage.choices) > 1:
        raise ValueError(f"{stage.name} has several block types: name the space that was trained")
    blocks = []
    for one in word.split(","):
        width, *values = one.split()
        if len(values) != len(chosen):
            raise ValueError(f"{stage.name} has {len(chosen)} settings, not {len(values)}")
        settings = tuple(
            Setting(name=arg.name, value=_offered(arg.values, text))
            for arg, text in zip(chosen, values, strict=True)
        )
        blocks.append(SubnetBlock(width=int(width), settings=settings))
    return SubnetStage(blocks=tuple(blocks))


def _offered(values: tuple[Value, ...], text: str) -> Value:
    found = next((value for value in values if str(value) == text), None)
    if found is None:
        raise ValueError(f"{text[:20]} is not one of {', '.join(map(str, values))}")
    return found
