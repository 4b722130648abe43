"""Codes of networks of two benchmarks, whose accuracies are public.

Accel-NASBench writes a MnasNet network as `ie1k3d1-...-se6k5d2`: per stage `i` or `s` (without or
with squeeze and excitation), expand, kernel and depth. NAS-Bench-Macro writes one digit per
position: 0 nothing, 1 expand 3 and kernel 3, 2 expand 6 and kernel 5."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.ir.block import Se, Value, walk
from spacedsl.ir.covers import subnet_mismatch
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage, smallest_block
from spacedsl.lang.library import library
from spacedsl.lang.page import Loader
from spacedsl.passes.network import subnet_identity

MNASNET: Final = re.compile(r"[si]e[0-9]k[0-9]d[0-9](?:-[si]e[0-9]k[0-9]d[0-9])*")
MACRO: Final = re.compile(r"[012]{8}")
NOTATIONS: Final = {"mnasnet": MNASNET, "macro": MACRO}
"""Benchmarks by the name of their page, and what their codes look like."""

MAX_CODE: Final = 256
KERNELS: Final = {"1": 3, "2": 5}
"""Of NAS-Bench-Macro's digits."""


def benchmark_of(code: str) -> str | None:
    """The benchmark whose notation `code` is in, by the name of its page."""
    if len(code) > MAX_CODE:
        return None
    return next((name for name, form in NOTATIONS.items() if form.fullmatch(code)), None)


def benchmark_space(name: str) -> Space:
    """The hyperspace of a benchmark, as the library has it."""
    path = library() / "benchmarks" / f"{name}.space"
    found = Loader().open(path, f"<library>/benchmarks/{path.name}").get(name)
    if not isinstance(found, Space):
        raise TypeError(found)
    return found


Known = set[tuple[int, str]]
"""Positions of stages and what codes say of them: those that are in the space."""


def benchmark_subnet(
    code: str, space: Space | None, name: str, known: Known | None = None
) -> Subnet:
    """The network that `code` says, of `space` or of the benchmark's own. Who reads many keeps
    what is `known` to be in the space. Raises `SpaceError`, also where it is none of them."""
    kind = benchmark_of(code)
    if kind is None:
        raise fault("bad-code", f"{code[:80]} is not the code of a benchmark's network")
    space = space or benchmark_space(kind)
    words = code.split("-") if kind == "mnasnet" else list(code)
    if len(words) != len(space.elastic):
        message = f"the code has {len(words)} stages, {space.name} has {len(space.elastic)} elastic"
        raise fault("bad-code", message)
    stage_of = _mnasnet_stage if kind == "mnasnet" else _macro_stage
    said = dict(zip(space.elastic, words, strict=True))
    stages = tuple(
        stage_of(stage, said[i]) if i in said else _smallest(stage)
        for i, stage in enumerate(space.stages)
    )
    subnet = Subnet(name=name, of=space, resolution=space.resolutions[-1], stages=stages)
    if known is not None and known >= said.items():
        return subnet
    found = subnet_mismatch(space, subnet)
    if found is not None:
        where = f"{found.stage}: " if found.stage else ""
        message = f"{code[:80]} is not one of {space.name}'s: {where}{found.reason}"
        raise fault("not-a-member", message)
    if known is not None:
        known.update(said.items())
    return subnet


def benchmark_code(subnet: Subnet) -> str | None:
    """The code of a network in its benchmark's notation, None where it has none."""
    stages = [(subnet.choice(p), subnet.stages[p].blocks) for p in subnet.of.elastic]
    for write in (_mnasnet_word, _macro_word):
        words = [write(choice, blocks) for choice, blocks in stages]
        text = ("-" if write is _mnasnet_word else "").join(word or "?" for word in words)
        if benchmark_of(text) is None:
            continue
        try:
            same = benchmark_subnet(text, None, subnet.name)
        except SpaceError:
            continue
        if subnet_identity(same) == subnet_identity(subnet):
            return text
    return None


def _mnasnet_word(choice: BlockChoice, blocks: tuple[SubnetBlock, ...]) -> str | None:
    said = {s.name: s.value for s in blocks[0].settings}
    if set(said) != {"kernel", "expand"}:
        return None
    letter = "s" if _has_se(choice) else "i"
    return f"{letter}e{said['expand']}k{said['kernel']}d{len(blocks)}"


def _macro_word(choice: BlockChoice, blocks: tuple[SubnetBlock, ...]) -> str | None:
    said = {s.name: s.value for s in blocks[0].settings}
    if len(blocks) != 1 or not set(said) <= {"kernel", "used"}:
        return None
    if not said.get("used", 1) or "kernel" not in said:
        return "0"
    return next((digit for digit, kernel in KERNELS.items() if kernel == said["kernel"]), None)


def _has_se(choice: BlockChoice) -> bool:
    return any(isinstance(op, Se) for op in walk(choice.block.ops))


def _mnasnet_stage(stage: Stage, word: str) -> SubnetStage:
    said = {"expand": int(word[2]), "kernel": int(word[4])}
    return _stage(stage, lambda c: _has_se(c) == (word[0] == "s"), said, int(word[6]), word)


def _macro_stage(stage: Stage, digit: str) -> SubnetStage:
    def fits(choice: BlockChoice) -> bool:
        names = {arg.name for arg in choice.chosen}
        return "used" in names or ("kernel" in names) == (digit != "0")

    said = {"used": int(digit != "0"), "kernel": KERNELS.get(digit, 3)}
    return _stage(stage, fits, said, 1, digit)


def _stage(
    stage: Stage,
    fits: Callable[[BlockChoice], bool],
    said: Mapping[str, Value],
    depth: int,
    word: str,
) -> SubnetStage:
    """`depth` equal blocks of the first block type that fits."""
    number = next((i for i, choice in enumerate(stage.choices) if fits(choice)), None)
    if number is None or depth < 1:
        raise fault("not-a-member", f"{stage.name} has no block type for {word}")
    settings = tuple(
        Setting(name=arg.name, value=said.get(arg.name, arg.values[0]))
        for arg in stage.choices[number].chosen
    )
    width = stage.widths[0] if stage.widths else 0
    return SubnetStage(choice=number, blocks=(SubnetBlock(width=width, settings=settings),) * depth)


def _smallest(stage: Stage) -> SubnetStage:
    return SubnetStage(blocks=(smallest_block(stage, stage.choices[0]),) * stage.depths[0])
