"""Teachers: real weights know what a photo shows; cuts fall on the strides or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from spacedsl.ir.space import Space
from spacedsl.operators.size import Size, pair
from spacedsl_runtime.data.decode import whole
from spacedsl_runtime.data.views import plain_view, to_array
from spacedsl_runtime.distill.efficientnet_lite import SCALES, EfficientNetLite, load_lite
from spacedsl_runtime.distill.teacher import Boundary, StageStride, Teacher, cut
from spacedsl_runtime.distill.teachers import open_teacher
from spacedsl_runtime.errors import CheckpointError, TeacherError
from spacedsl_runtime.train.batches import Normalise
from tests.runtime.training import PAGE, digits, job, run
from tests.support import item_of, library_space


def no_images(normalise: Normalise, resolution: Size) -> Iterator[Tensor]:
    raise AssertionError("a network of its own needs no calibration")


def some_digits(normalise: Normalise, resolution: Size) -> Iterator[Tensor]:
    for _ in range(2):
        views = [digits().train.image(i).resize(pair(resolution)[::-1]) for i in range(16)]
        yield normalise(torch.stack([torch.tensor(to_array(view)) for view in views]))


@pytest.fixture(scope="module")
def lite0() -> Teacher:
    return open_teacher("lite0", no_images)


def parts_of(name: str) -> list[StageStride]:
    found, stride = list[StageStride](), 1
    space = library_space(name) if name != "mini" else item_of(PAGE, "mini")
    assert isinstance(space, Space)
    for stage in space.stages[:-1]:
        stride *= pair(stage.stride)[0]
        found.append(StageStride(stage.name, stride, stage.elastic))
    return found


def test_lite0_knows_a_palace_and_a_daisy(lite0: Teacher) -> None:
    from sklearn.datasets import load_sample_image

    for name, label in (("china.jpg", 698), ("flower.jpg", 985)):
        photo = Image.fromarray(load_sample_image(name))
        view = torch.tensor(to_array(plain_view(whole(photo), 224, "photo")))[None]
        logits = lite0.network(lite0.normalise(view))
        assert int(logits.argmax()) == label


def test_maps_have_the_sizes_that_boundaries_say(lite0: Teacher) -> None:
    for resolution in (128, 96):
        maps = lite0.features(torch.randn(2, 3, resolution, resolution))
        for found, boundary in zip(maps, lite0.boundaries, strict=True):
            size = resolution // pair(boundary.stride)[0]
            assert found.shape == (2, boundary.width, size, size), boundary
            assert not found.requires_grad


@pytest.mark.parametrize("name", SCALES)
def test_variants_have_their_published_sizes(name: str) -> None:
    """4.65M, 5.42M, 6.09M parameters."""
    published = {"lite0": 4.65, "lite1": 5.42, "lite2": 6.09}
    count = sum(p.numel() for p in EfficientNetLite(name).parameters())
    assert count / 1e6 == pytest.approx(published[name], abs=0.01)


def test_weights_of_another_variant_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(EfficientNetLite("lite0").state_dict(), path)
    with pytest.raises(TeacherError, match="holds no weights of lite1"):
        load_lite("lite1", path)
    path.write_bytes(b"pickle")
    with pytest.raises(TeacherError, match="holds no weights of lite0"):
        load_lite("lite0", path)


@pytest.mark.parametrize("hyper", ["onnxw", "mobilew"])
def test_lite0_fits_the_published_hyperspaces(hyper: str, lite0: Teacher) -> None:
    found = cut(parts_of(hyper), lite0)
    assert found == {f"stage{i}": (i, i + 1) for i in range(1, 7)}


def test_a_teacher_that_does_not_fit_is_refused_with_both_sides(lite0: Teacher) -> None:
    message = (
        "lite0 does not fit: at stride 8 the space ends 2 stages that are needed, the teacher 1. "
        "Strides of the space: stem 2, stage0 2, stage1 4, stage2 8, stage3 8. Of the teacher: "
        "stem 2, stage0 2, stage1 4, stage2 8, stage3 16, stage4 16, stage5 32, stage6 32"
    )
    with pytest.raises(TeacherError) as caught:
        cut(parts_of("tiny"), lite0)
    assert str(caught.value) == message


def test_a_deeper_teacher_is_spread(lite0: Teacher) -> None:
    deep = replace(
        lite0, boundaries=tuple(Boundary(str(i), 2 if i < 2 else 4, 8) for i in range(7))
    )
    parts = [StageStride("stem", 2, False), StageStride("a", 4, True), StageStride("b", 4, True)]
    assert cut(parts, deep) == {"a": (1, 4), "b": (4, 6)}


def test_a_run_of_ours_is_a_teacher(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(job(folder))
    teacher = open_teacher(f"checkpoint:{folder}", some_digits)
    assert teacher.boundaries == (Boundary("stem", 2, 8), Boundary("stage1", 4, 16))
    (batch, _) = some_digits(teacher.normalise, 12)
    maps = teacher.features(batch)
    assert [tuple(m.shape) for m in maps] == [(16, 8, 6, 6), (16, 16, 3, 3)]
    rest = list(teacher.network.children())
    logits = maps[-1]
    for layer in rest[len(rest) - 4 :]:
        logits = layer(logits)
    assert torch.equal(logits, teacher.network(batch))
    assert cut(parts_of("mini"), teacher) == {"stage1": (0, 1)}
    again = open_teacher(f"checkpoint:{folder}", some_digits)
    assert again.hash == teacher.hash


def test_unknown_teachers(tmp_path: Path) -> None:
    for spec, message in (
        ("lite9", "unknown teacher `lite9`"),
        ("lite0:x", "unknown teacher"),
        (f"checkpoint:{tmp_path}", "holds no run"),
    ):
        with pytest.raises(TeacherError, match=message):
            open_teacher(spec, no_images)
    folder = tmp_path / "run"
    run(job(folder))
    (folder / "checkpoint.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot read"):
        open_teacher(f"checkpoint:{folder}", some_digits)
