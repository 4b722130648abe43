"""Fit one table directory: latencies and NSR losses, in one table file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.tables.fit_latency import fit_latency
from spacedsl.tables.fit_quality import fit_quality
from spacedsl.tables.rows import SubstageRows, fitted, read_directory
from spacedsl.tables.schema import UNKNOWN, Source, TableFile


def fit_directory(
    directory: Path,
    space: Space,
    *,
    hold_out: bool = False,
    device: str = UNKNOWN,
    teacher: str = UNKNOWN,
    nsr: str = UNKNOWN,
    provenance: str = "",
    licence: str = "",
    tell: Callable[[str], None] = lambda words: None,
) -> TableFile:
    """Read and fit a directory of tables of hyperspace `space`. With `hold_out` a fifth of the
    rows, chosen by the hash of their text, is left out. `tell` gets in words how far it is. Raises
    `SpaceError`."""
    files = read_directory(directory, space)
    files = fitted(files) if hold_out else files
    source = Source(
        hyperspace=space.name,
        hyperspace_hash=space_identity(space),
        device=device,
        teacher=teacher,
        nsr=nsr,
        provenance=provenance,
        licence=licence,
        rows=sum(len(rows) for rows in files),
    )
    return fit_rows(files, space, source, tell)


def fit_rows(
    files: Sequence[SubstageRows],
    space: Space,
    source: Source,
    tell: Callable[[str], None] = lambda words: None,
) -> TableFile:
    """Fit rows that are already read."""
    tell(f"fitting latencies to {source.rows:,} rows")
    latency = fit_latency(files, space)
    tell(f"fitting losses to {source.rows:,} rows")
    return TableFile(source=source, latency=latency, quality=fit_quality(files, space))
