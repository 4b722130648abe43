"""The journal of a search: JSON lines, a header and then one line per scored space.

A search is deterministic, so resuming is running it again with the scores of the journal; every
line is checked to be of the space that the search comes to. Nothing in it depends on time, place or
on how many spaces were asked for: a search that goes on writes what a longer one would have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spacedsl.search.candidate import Genotype
from spacedsl.search.sealed_lines import Header, Lines, sealed_line, unsealed_line
from spacedsl.search.space_score import LimitScore

FORMAT = 2
"""Changes with the journal's form and with anything that would give other candidates or scores."""

MAX_LINE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A scored space: which of the search's spaces it is (from 0), its genotype and content hash,
    its Q-T score and those under each limit."""

    index: int
    genotype: Genotype
    hash: str
    score: float
    limits: tuple[LimitScore, ...]


def encode(record: Evaluated) -> bytes:
    """One line of the journal."""
    return sealed_line(
        {
            "index": record.index,
            "genes": record.genotype,
            "hash": record.hash,
            "score": record.score,
            "scores": [limit.score for limit in record.limits],
            "missing": [limit.missing for limit in record.limits],
        }
    )


class Sums(Protocol):
    """What a journal needs of a scorer: latency limits in ms, and a score from those under them."""

    @property
    def limits_ms(self) -> tuple[float, ...]: ...

    def total(self, limits: Sequence[LimitScore]) -> float: ...


def decode(line: bytes, scorer: Sums) -> Evaluated:
    """The record of a line. Raises `ValueError` where it is none."""
    try:
        value = unsealed_line(line)
        record = Evaluated(
            index=value["index"],
            genotype=tuple((block, window) for block, window in value["genes"]),
            hash=value["hash"],
            score=float(value["score"]),
            limits=tuple(
                LimitScore(limit_ms, float(score), missing)
                for limit_ms, score, missing in zip(
                    scorer.limits_ms, value["scores"], value["missing"], strict=True
                )
            ),
        )
    except (TypeError, KeyError) as error:
        raise ValueError(str(error)) from None
    if not all(math.isfinite(s) for s in (record.score, *(x.score for x in record.limits))):
        raise ValueError("a score is not a number")
    if record.score != scorer.total(record.limits):
        raise ValueError("the score is not that of its parts")
    if not all(type(x.missing) is int for x in record.limits):
        raise ValueError("a number of missing subnets is no whole number")
    return record


class Journal(Lines):
    """An open journal. `records`: what it held when it was opened."""

    def __init__(self, path: Path, header: Header, scorer: Sums, resume: bool) -> None:
        records: list[Evaluated] = []

        def take(line: bytes) -> None:
            record = decode(line, scorer)
            if record.index != len(records):
                raise ValueError(f"index {record.index} where {len(records)} comes")
            records.append(record)

        super().__init__(path, {"journal": FORMAT, **header}, resume, take, MAX_LINE_BYTES)
        self.records = tuple(records)

    def append(self, record: Evaluated) -> None:
        """Write one record."""
        self.write(encode(record))
