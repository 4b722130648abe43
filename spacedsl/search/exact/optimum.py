"""The best space of a whole hyperspace, with a certificate.

Every space is scored: spaces are pairs of a head and a tail (see `pairs`), in tasks that several
processes work on. Those whose score comes within the precision of the best are scored again at full
detail, so that the best of them is the best of all."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.search.candidate import Gene
from spacedsl.search.exact.pairs import PRECISION, Genes, Half, Pairs, all_genes
from spacedsl.search.exact.score import ExactScore
from spacedsl.search.exact.scorer import ExactScorer

HEADS = 8
"""Heads that meet all tails of a task at once."""

KEPT = 2_000
"""Candidates that a task may have; the certificate says where there were more."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Task:
    """Spaces whose head ends in this window and whose tail starts with this gene."""

    window: int
    gene: Gene


@dataclass(frozen=True, slots=True)
class Done:
    """A task's outcome: how many spaces it scored, the greatest score, and the (score, genes) that
    may be the best of all; `more` where there are more of these than are kept."""

    task: int
    spaces: int
    best: float
    candidates: tuple[tuple[float, Genes], ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the enumeration is: tasks, spaces scored, the best score and the genes that have it,
    and the share of the hyperspace that is left open (no bound but the definition's is known)."""

    tasks: int
    of: int
    spaces: int
    best: float
    genes: Genes


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best space and why nothing is better. `bound`: no space scores more, given that no
    score of the search is off by more than `precision` of itself; `rivals`: the next spaces at full
    detail."""

    space: Space
    result: ExactScore
    bound: float
    precision: float
    enumerated: int
    size: int
    rescored: int
    complete: bool
    rivals: tuple[tuple[str, float], ...]


def optimum(
    scorer: ExactScorer,
    jobs: int = 1,
    journal: Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    name: str = "optimum",
) -> Optimum:
    """The best space of the scorer's hyperspace, by full enumeration on `jobs` processes. With a
    `journal`, every finished task is written there; `resume` goes on from it."""
    if not scorer.searching:
        raise ValueError("an optimum needs a scorer that searches")
    pairs = Pairs(scorer)
    tasks = all_tasks(pairs)
    log = _Log(journal, {**scorer.identity, "precision": PRECISION}, resume) if journal else None
    held = log.read() if log else {}
    done: list[Done] = [held[i] for i in sorted(held)]
    waiting = [i for i in range(len(tasks)) if i not in held]
    for found in _run(pairs, tasks, waiting, jobs):
        done.append(found)
        if log:
            log.append(found)
        if progress:
            score, genes = max(max(d.candidates, default=(0.0, ())) for d in done)
            scored = sum(d.spaces for d in done)
            progress(Progress(len(done), len(tasks), scored, score, genes))
    return _certified(scorer, pairs, done, name)


def all_tasks(pairs: Pairs) -> list[Task]:
    """The tasks of a hyperspace, in a fixed order."""
    cut = split(pairs)
    windows = range(pairs.genome.shape[cut - 1][1]) if cut else [0]
    blocks, others = pairs.genome.shape[cut]
    return [Task(w, (b, v)) for w in windows for b in range(blocks) for v in range(others)]


def split(pairs: Pairs) -> int:
    """How many elastic stages heads have."""
    return len(pairs.genome.shape) // 2


def work(pairs: Pairs, task: Task) -> Iterator[tuple[Half, Half]]:
    """The heads, a few at a time, and the tails of a task."""
    cut, stages = split(pairs), len(pairs.genome.shape)
    heads = [h for h in all_genes(pairs.genome, 0, cut) if not cut or h[-1][1] == task.window]
    rest = all_genes(pairs.genome, cut + 1, stages)
    before = (0, task.window) if cut else None
    tails = pairs.tails(cut, before, [(task.gene, *genes) for genes in rest])
    for i in range(0, len(heads), HEADS):
        yield pairs.heads(heads[i : i + HEADS]), tails


def solve(pairs: Pairs, index: int, task: Task) -> Done:
    """Score every space of a task."""
    best, spaces, more = 0.0, 0, False
    kept: list[tuple[float, Genes]] = []
    for heads, tails in work(pairs, task):
        scores = pairs.scores(heads, tails)
        spaces += scores.size
        best = max(best, float(scores.max()))
        least = best * (1 - 2 * PRECISION)
        for i, j in np.argwhere(scores >= least).tolist():
            kept.append((float(scores[i, j]), (*heads.genes[i], *tails.genes[j])))
        kept = sorted((k for k in kept if k[0] >= least), reverse=True)
        more = more or len(kept) > KEPT
        kept = kept[:KEPT]
    return Done(index, spaces, best, tuple(kept), more)


_shared: list[tuple[Pairs, list[Task]]] = []
"""What forked processes work on, while they do."""


def _solve_shared(index: int) -> Done:
    pairs, tasks = _shared[-1]
    return solve(pairs, index, tasks[index])


def _run(pairs: Pairs, tasks: list[Task], waiting: list[int], jobs: int) -> Iterator[Done]:
    """Outcomes in the order of `waiting`, whatever the number of processes."""
    if jobs <= 1 or len(waiting) <= 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from (solve(pairs, i, tasks[i]) for i in waiting)
        return
    for place, (blocks, windows) in enumerate(pairs.genome.shape):
        for b in range(blocks):
            for w in range(windows):
                pairs.operator(place, (b, w))  # before the fork, so that processes share them
    _shared.append((pairs, tasks))
    try:
        with multiprocessing.get_context("fork").Pool(min(jobs, len(waiting))) as pool:
            yield from pool.imap(_solve_shared, waiting)
    finally:
        _shared.pop()


def _certified(scorer: ExactScorer, pairs: Pairs, done: Sequence[Done], name: str) -> Optimum:
    best = max(d.best for d in done)
    least = best * (1 - 2 * PRECISION)
    genes = sorted({g for d in done for score, g in d.candidates if score >= least})
    complete = not any(d.more and d.best >= least for d in done)
    full = ExactScorer(scorer.inner)
    scored = []
    for candidate in genes:
        space = pairs.genome.to_space(candidate, name)
        scored.append((full.score(space), space))
    scored.sort(key=lambda found: (-found[0].score, space_identity(found[1])))
    result, space = scored[0]
    return Optimum(
        space=space,
        result=result,
        bound=max(result.score + result.error, least * (1 + PRECISION)),
        precision=PRECISION,
        enumerated=sum(d.spaces for d in done),
        size=pairs.genome.size,
        rescored=len(scored),
        complete=complete and sum(d.spaces for d in done) == pairs.genome.size,
        rivals=tuple((space_identity(s), r.score) for r, s in scored[1:6]),
    )


class _Log:
    """Finished tasks as lines of JSON, after a header."""

    def __init__(self, path: Path, identity: dict[str, object], resume: bool) -> None:
        self.path = path
        self._header = json.dumps({"optimum": FORMAT, **identity})
        if path.exists() and not resume:
            message = f"the journal {path} exists"
            raise fault("journal-exists", message, "say --resume or remove it")
        if not path.exists():
            self._write(self._header)

    def read(self) -> dict[int, Done]:
        """By number of the task; a torn last line is not one."""
        try:
            lines = self.path.read_text().splitlines(keepends=True)
        except (OSError, UnicodeDecodeError) as error:
            raise fault("bad-journal", f"{self.path}: {error}") from None
        if not lines or lines[0] != self._header + "\n":
            message = f"{self.path} is not the journal of this search"
            raise fault("journal-differs", message, "name another journal")
        whole = [line for line in lines if line.endswith("\n")]
        if len(whole) < len(lines):
            self.path.write_text("".join(whole))
        try:
            return {found.task: found for found in map(_decoded, whole[1:])}
        except (ValueError, TypeError, KeyError) as error:
            raise fault("bad-journal", f"{self.path}: not a line of a journal: {error}") from None

    def append(self, found: Done) -> None:
        """One finished task."""
        self._write(json.dumps(asdict(found)))

    def _write(self, line: str) -> None:
        try:
            with self.path.open("a") as file:
                file.write(line + "\n")
        except OSError as error:
            message = f"cannot write {self.path}: {error.strerror or error}"
            raise fault("cannot-write", message) from None


def _decoded(line: str) -> Done:
    value: dict[str, Any] = json.loads(line)
    candidates = tuple(
        (float(score), tuple((int(b), int(w)) for b, w in genes))
        for score, genes in value["candidates"]
    )
    best, spaces = float(value["best"]), int(value["spaces"])
    return Done(int(value["task"]), spaces, best, candidates, bool(value["more"]))
