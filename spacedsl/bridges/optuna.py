"""Optuna's trials and networks: each choice of a page is a categorical parameter of a study.

    from spacedsl.bridges.optuna import parameters, suggest

    def objective(trial):
        return score(suggest(space, trial))

    study.enqueue_trial(parameters(subnet))  # the other way

Optuna's samplers, pruners and dashboard then work on a space. Nothing here imports Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from spacedsl.ir.block import Value
from spacedsl.ir.settings import canonical
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage

T = TypeVar("T")


class Trial(Protocol):
    """What is used of `optuna.Trial`, `optuna.trial.FixedTrial` and the like."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices; a name has the same choices in all trials of a study."""
        ...


def suggest(space: Space, trial: Trial, name: str = "suggested") -> Subnet:
    """The network of a space or a hyperspace that a trial asks for. Only choices that there are
    become parameters: `resolution`, `stage1.block`, `stage1.window`, `stage1.depth`,
    `stage1.0.width`, `stage1.0.kernel` and so on; where a stage has several block types or
    windows, their names stand in those of what depends on them."""
    resolution = _one(trial, "resolution", space.resolutions)
    stages = tuple(_stage(stage, trial) for stage in space.stages)
    return canonical(Subnet(name=name, of=space, resolution=resolution, stages=stages))


class _Told:
    """A trial that answers by a network, and keeps what it answered."""

    def __init__(self, subnet: Subnet) -> None:
        self.subnet = subnet
        self.answers = dict(_said(subnet))
        self.asked: dict[str, Value] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked[name] = self.answers[name]
        return self.answers[name]


def parameters(subnet: Subnet) -> dict[str, Value]:
    """The parameters of the trial that asks for a network, for `study.enqueue_trial`."""
    told = _Told(subnet)
    suggest(subnet.of, told)
    return told.asked


def _one(trial: Trial, name: str, choices: Sequence[T]) -> T:
    """One of the choices; a single one is no parameter."""
    if len(choices) == 1:
        return choices[0]
    found: T = trial.suggest_categorical(name, list(choices))
    return found


def _stage(stage: Stage, trial: Trial) -> SubnetStage:
    types = [c.block.name for c in stage.choices]
    choice = types.index(_one(trial, f"{stage.name}.block", types))
    windows = [_window(w) for w in stage.windows] if stage.widths else [""]
    window = windows.index(_one(trial, f"{stage.name}.window", windows))
    widths = stage.windows[window] if stage.widths else (0,)
    depth = _one(trial, f"{stage.name}.depth", stage.depths)
    blocks = []
    for place in range(depth):
        name = _name(stage, "width", place, windows[window] if len(windows) > 1 else "")
        width = _one(trial, name, widths)
        settings = _settings(stage, stage.choices[choice], place, trial)
        blocks.append(SubnetBlock(width=width, settings=settings))
    return SubnetStage(choice=choice, blocks=tuple(blocks))


def _settings(stage: Stage, choice: BlockChoice, place: int, trial: Trial) -> tuple[Setting, ...]:
    found = []
    kind = choice.block.name if len(stage.choices) > 1 else ""
    for arg in choice.chosen:
        value = _one(trial, _name(stage, arg.name, place, kind), arg.values)
        found.append(Setting(name=arg.name, value=value))
    return tuple(found)


def _window(widths: Sequence[int]) -> str:
    return f"{widths[0]}..{widths[-1]}"


def _name(stage: Stage, key: str, place: int, of: str) -> str:
    """The name of a setting in Optuna's study. Where all blocks of a stage have the same value of a
    setting (`shared`), it has one name for the stage."""
    block = "" if key in stage.shared else f"{place}."
    return f"{stage.name}.{block}{key}{f' ({of})' if of else ''}"


def _said(subnet: Subnet) -> list[tuple[str, Value]]:
    """Every name that `suggest` may ask for of this network, and its answer."""
    found: list[tuple[str, Value]] = [("resolution", subnet.resolution)]
    for stage, chosen in zip(subnet.of.stages, subnet.stages, strict=True):
        choice = stage.choices[chosen.choice]
        used = {block.width for block in chosen.blocks}
        fits = [_window(w) for w in stage.windows if used <= set(w)] if stage.widths else [""]
        found += [
            (f"{stage.name}.block", choice.block.name),
            (f"{stage.name}.window", fits[0]),
            (f"{stage.name}.depth", len(chosen.blocks)),
        ]
        kind = choice.block.name if len(stage.choices) > 1 else ""
        window = fits[0] if len(stage.windows) > 1 else ""
        for place, block in enumerate(chosen.blocks):
            found.append((_name(stage, "width", place, window), block.width))
            found += [(_name(stage, s.name, place, kind), s.value) for s in block.settings]
    return found
