"""A profile: what was measured on one machine, as a journal. JSON lines, each with a checksum: a
header, then one line per batch of networks. Lines are only ever added, so that a kill or a full
disk loses the batch in work and nothing else."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from spacedsl.diagnostics import fault
from spacedsl.files import read_bounded
from spacedsl.json_files import first_mistake
from spacedsl.operators.size import Size, pair
from spacedsl.passes.kernels import Kernel

MAX_BYTES, MAX_HEADER = 256 << 20, 1 << 20
AGAIN = "`spacedsl target profile {name} --again` measures afresh"

Positive = Annotated[float, Field(gt=0)]
MOST = 1 << 20


def _bounded(size: Size) -> Size:
    if not all(0 < side <= MOST for side in pair(size)):
        raise ValueError(f"a size is from 1 to {MOST}")
    return size


Bounded = Annotated[Size, AfterValidator(_bounded)]
Count = Annotated[int, Field(gt=0, le=MOST)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Record = TypeVar("Record", bound=_Record)


class ProfileHeader(_Record):
    """On what was measured. `machine`: words that tell this device from others; `session`: what the
    runtime's sessions set beyond a plain one; `rules`: the hash of the runtime's rules."""

    format: Literal[2] = 2
    kind: Literal["profile"] = "profile"
    target: str
    machine: dict[str, str]
    runtime: str
    version: str
    threads: int
    session: dict[str, str]
    rules: str


class SpaceNote(_Record):
    """A space whose members were measured."""

    name: str
    hash: str
    resolutions: tuple[Bounded, ...]


Plain = tuple[str, Count, Count, Bounded, Bounded, Bounded]
KernelWords = Plain | tuple[str, Count, Count, Bounded, Bounded, Bounded, Bounded, bool]
"""Kind, cin, cout, size, window and stride; dilation, and whether it has no padding, of a kernel
that says more than that."""


def kernel_words(kernel: Kernel) -> KernelWords:
    """A kernel as profiles have it."""
    return kernel[:6] if kernel.dilation == 1 and not kernel.valid else (*kernel,)


class NetRecord(_Record):
    """A measured network; `space` is "" for a reference. `kernel_ms`: times of its kernels by the
    runtime's profiler; `kernel_nodes`: how many nodes that is; `net_ms`: its own without it;
    `split_half`: relative difference of the two halves of its rounds, which are of different
    sessions."""

    space: str
    hash: str
    kernels: tuple[KernelWords, ...]
    kernel_ms: tuple[Annotated[float, Field(ge=0)], ...]
    kernel_nodes: tuple[Annotated[int, Field(ge=0)], ...]
    net_ms: Positive
    split_half: float
    steady: bool


class BatchRecord(_Record):
    """Networks measured in the same rounds as the references, which are those of every batch;
    `seconds`: what all of it took; `covered`: hashes of spaces of whose members nothing was left
    uncovered after it."""

    spaces: tuple[SpaceNote, ...]
    references: tuple[NetRecord, ...]
    nets: tuple[NetRecord, ...]
    seconds: Positive
    covered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """A header and its batches; `size`: bytes of whole lines."""

    header: ProfileHeader
    batches: tuple[BatchRecord, ...] = ()
    size: int = 0

    def seconds(self, spaces: frozenset[str]) -> float:
        """Time spent on members of the spaces of these hashes."""
        members = ((b, sum(net.space in spaces for net in b.nets)) for b in self.batches)
        return sum(b.seconds * count / len(b.nets) for b, count in members)

    def covers(self, space: str) -> bool:
        """Was nothing of the space of this hash left uncovered?"""
        return any(space in batch.covered for batch in self.batches)


def line_of(record: BaseModel) -> bytes:
    """A record as a line."""
    text = record.model_dump_json().encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_profile(path: Path) -> Profile:
    """Read a profile; a last line without its end is that of a run that was killed, and left out.
    Raises `SpaceError` that names the line which is not as it was written."""
    data = read_bounded(path, MAX_BYTES)
    lines = data.split(b"\n")
    whole, size = lines[:-1], len(data) - len(lines[-1])
    if not whole:
        raise _damaged(path, 1, "there is no header")
    header = _parsed(path, 1, whole[0], ProfileHeader)
    batches = tuple(_parsed(path, n, line, BatchRecord) for n, line in enumerate(whole[1:], 2))
    for number, batch in enumerate(batches, 2):
        nets = (*batch.references, *batch.nets)
        if not batch.nets or not all(map(_whole, nets)):
            raise _damaged(path, number, "networks and their times do not fit")
    return Profile(header, batches, size)


def read_header(path: Path) -> ProfileHeader:
    """Of what a profile is. Raises `SpaceError`."""
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_HEADER)
    except OSError as error:
        raise fault("cannot-read", f"cannot read {path}: {error.strerror or error}") from None
    return _parsed(path, 1, line.removesuffix(b"\n"), ProfileHeader)


def _whole(net: NetRecord) -> bool:
    return len(net.kernels) == len(net.kernel_ms) == len(net.kernel_nodes)


def _parsed(path: Path, number: int, line: bytes, kind: type[Record]) -> Record:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        raise _damaged(path, number, "its checksum is wrong")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise _damaged(path, number, first_mistake(error, "the line")) from None


def _damaged(path: Path, number: int, why: str) -> Exception:
    message = f"{path}:{number}: not a line of a profile of this version: {why}"
    return fault("bad-profile", message, AGAIN.format(name="NAME"))


def append(path: Path, at: int, record: BaseModel) -> int:
    """Write `record` after the first `at` bytes (what follows is cut off) so that it outlives this
    process; returns the new size. Raises `SpaceError` and takes back what was not written whole."""
    line = line_of(record)
    try:
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(at)
            file.seek(at)
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), at)
                raise
    except OSError as error:
        why = error.strerror or error
        message = f"cannot write {path}: {why}"
        raise fault("cannot-write", message, "what was measured before is kept") from None
    return at + len(line)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a profile. Raises `SpaceError` where another run holds it: two that measure
    at a time would spoil each other's figures."""
    from filelock import FileLock, Timeout

    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        message = f"another run is measuring for {path}"
        raise fault("profile-busy", message, "wait for it, or end it") from None
    except OSError as error:
        raise fault("cannot-write", f"cannot write {path}.lock: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
