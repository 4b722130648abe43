"""Teachers are records in one table, and installed packages add theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spacedsl.operators.size import Size
from spacedsl_runtime.distill.teachers import BUILT_IN, GROUP, open_teacher, teachers, usages
from spacedsl_runtime.errors import TeacherError
from spacedsl_runtime.train.batches import Normalise
from tests.cli.test_commands import run

MODULE = """
from torch import nn

from spacedsl_runtime.distill.teacher import Boundary, frozen
from spacedsl_runtime.distill.teachers import TeacherSource
from spacedsl_runtime.train.batches import Normalise


def opened(spec, where, calibration, device):
    network = nn.Conv2d(1, int(where or 4), 2, 2)
    boundaries = (Boundary("all", 2, network.out_channels),)
    return frozen(spec, 1, Normalise((0.5,), (0.5,)), boundaries, network, lambda x: [network(x)])


MINE = TeacherSource("mine", "mine[:WIDTH]", opened)
LITE0 = TeacherSource("lite0", "lite0", opened)
"""

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package with one entry point, by its name and what it refers to."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_teachers.py").write_text(MODULE)

    def installed(name: str, value: str) -> None:
        folder = tmp_path / "own_teachers-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: own-teachers\nVersion: 1.0\n"
        )
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = own_teachers:{value}\n")
        teachers.cache_clear()

    yield installed
    monkeypatch.undo()
    teachers.cache_clear()


def no_images(normalise: Normalise, resolution: Size) -> Iterator[Tensor]:
    yield from ()


def test_a_package_registers_a_teacher(install: Install) -> None:
    install("mine", "MINE")
    found = open_teacher("mine:3", no_images)
    (features,) = found.features(torch.rand(2, 1, 8, 8))
    assert features.shape == (2, 3, 4, 4)
    assert not features.requires_grad
    assert usages().endswith("mine[:WIDTH]")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("mine", "NOT_THERE", "of own-teachers cannot be loaded"),
        ("other", "MINE", "own-teachers registers as the teacher `other` is no teacher"),
        ("lite0", "LITE0", "which there is already"),
    ],
)
def test_what_is_registered_wrongly_is_said(
    install: Install, name: str, value: str, why: str
) -> None:
    install(name, value)
    with pytest.raises(TeacherError, match=why):
        open_teacher("nothing-of-the-kind", no_images)


def test_help_texts_name_every_teacher() -> None:
    text = " ".join(run("distill", "--help").stdout.split())
    assert all(source.usage in text for source in BUILT_IN.values())


@pytest.mark.parametrize("spec", ["lite0:x", "lite9", "checkpoint", "timm:", ""])
def test_what_no_teacher_understands_is_refused(spec: str) -> None:
    with pytest.raises(TeacherError, match="unknown teacher"):
        open_teacher(spec, no_images)
