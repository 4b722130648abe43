"""What how-tos say works, also where their own sizes would take too long: commands that measure,
search or train run on small pages and few images."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from spacedsl import api
from spacedsl.ir.for_data import for_data
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.cost import subnet_cost
from tests.cli.test_commands import run
from tests.cli.test_first_minute import HYPER
from tests.runtime.test_data import write_fashion
from tests.shown import blocks, words_of
from tests.support import ROOT
from tests.targets.made_up_target import write_target

CLOSET = ROOT / "examples" / "closet"
FEW = ("--by", "evolution", "--population", "4", "--rounds", "1", "--images", "20")
QUICK = ("--seconds", "0.5", "--allow-noise")


def done(page: str, start: str, changes: Mapping[str, str], *more: str) -> str:
    """What a command of a text prints, with other words in the places of some, and `more`."""
    found = run(*words_of(page, f"spacedsl {start}", changes)[1:], *more)
    assert found.exit_code == 0, (start, found.output)
    return found.stdout


def test_this_pc_ends_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All behind `init`, for a target that needs no measuring; `next:` names a page that exists."""
    monkeypatch.chdir(tmp_path)
    text, here = "howto/this-pc.md", {"cpu": "made-up.space"}
    one = "kernel 3, 5  expand 4, 6, 8", "kernel 3  expand 4"
    few = "kernel 3, 5, 7  expand 1..4", "kernel 3  expand 2"
    Path("mine.space").write_text(HYPER.replace(*one).replace(*few))
    write_target(tmp_path, api.load_space("mine.space"), networks=100)
    soon = ("--cycles", "8", "--population", "4", "--sample", "2", "--limits", "10ms")
    said = done(text, "evolve", here, *soon).splitlines()
    assert (
        said[-2] == "written: the found space in found.space; its best networks, 1 page in models"
    )
    assert shlex.split(said[-1])[3] == "models/found-10ms.space"
    assert "on made-up" in done(text, "show found.space", here)
    done(text, "export", here)
    assert "times as fast" in done(text, "bench", {}, *QUICK)


def test_openvino_times_and_evaluates_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    done("howto/openvino.md", "export", {"seqnet-vnni-a0": "tiny-a0"})
    done("howto/openvino.md", "bench", {}, *QUICK)
    closet = {
        "models/shapes-2ms.onnx": str(CLOSET / "closet.onnx"),
        "imagefolder:photos": f"fashion-mnist:{CLOSET / 'images'}",
    }
    assert "top-1 8" in done("howto/openvino.md", "eval", closet)


def test_the_example_is_trained_by_its_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In few steps, on few images of noise, for a target that needs no measuring."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(CLOSET / "closet.space", tmp_path)
    Path("images").mkdir()
    write_fashion(Path("images"), 60, 10)
    space = api.load_space("closet.space")
    write_target(tmp_path, for_data(space, channels=1, classes=10), networks=200)
    text = "../examples/closet/README.md"
    images = {"fashion-mnist": "fashion-mnist:images", "64": "16"}
    here = {"cpu": "made-up.space"}
    start = "train closet.space --data fashion-mnist --batch 64 --steps "
    done(text, start + "2000", images | {"2000": "3"})
    done(text, start + "150", images | here | {"150": "2"})
    done(text, "search", here | {"0.15,0.3ms": "1,0.3s", "12": "4", "3": "1", "1000": "10"})
    done(
        text,
        "export",
        {
            "models/closet-0-3ms.space": "models/closet-300ms.space",
            "models/closet-0-3ms.npz": "models/closet-300ms.npz",
        },
    )
    assert Path("closet.tflite").is_file()
    assert "## Run it" in Path("card.md").read_text(encoding="utf-8")


def test_as_many_networks_are_drawn_as_a_fit_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of accuracies is fitted to as many networks as the how-to lets people train."""
    monkeypatch.chdir(tmp_path)
    page = "howto/own-accuracies.md"
    assert run(*words_of(page, "spacedsl init", {})[1:]).exit_code == 0
    sampled = words_of(page, "spacedsl sample", {"300": "1"})[1:]
    assert run(*sampled).exit_code == 0
    (network,) = Path("networks").iterdir()
    Path("trained.csv").write_text(f"page,top1\n{network},71.3\n")
    fitted = run(*words_of(page, "spacedsl tables fit", {})[1:])
    (enough,) = re.findall(r"([\d,]+) networks would do", fitted.stderr)
    assert int(enough) <= 300


@pytest.mark.slow
def test_networks_of_ones_own_are_a_table_that_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a small page, whose networks are the better the more they compute."""
    monkeypatch.chdir(tmp_path)
    text, here = "howto/own-accuracies.md", {"cpu": "made-up.space"}
    Path("mine.space").write_text(HYPER)
    hyper = api.load_space("mine.space")
    write_target(tmp_path, hyper, networks=100)
    done(text, "sample", {"300": "150"})
    lines = ["page,top1"]
    for page in Path("networks").iterdir():
        network = api.load(str(page))
        assert isinstance(network, Subnet)
        lines.append(f"{page},{95 - 40 * (subnet_cost(network).flops / 1e6) ** -0.3:.3f}")
    Path("trained.csv").write_text("\n".join(lines))
    done(text, "tables fit", {})
    soon = ("--cycles", "8", "--population", "4", "--sample", "2", "--limits", "10ms")
    assert "%" in done(text, "evolve --hyper mine.space --target cpu --quality mine", here, *soon)
    assert api.load_space("found.space").name == "found"


@pytest.mark.slow
def test_words_are_spotted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the how-to's own arrays and page, in an epoch each."""
    monkeypatch.chdir(tmp_path)
    text = "howto/keywords.md"
    arrays, page, _ = blocks((ROOT / "docs" / text).read_text(encoding="utf-8"))
    exec(compile(arrays[2], text, "exec"), {})
    Path("words.space").write_text(page[2])
    space = for_data(api.load_space("words.space"), channels=1, classes=4)
    write_target(tmp_path, space, networks=60)
    here = {"cpu": "made-up.space"}
    done(text, "train words.space --data npz:words.npz --out run --epochs", {"8": "1"})
    done(text, "train words.space --data npz:words.npz --out run --qat", here | {"2": "1"})
    done(text, "search", here, "--limits", "0.5s", *FEW)
    assert len(list(Path("found").glob("*.onnx"))) == 1


def test_the_workflow_for_github_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps, in a repository with a page."""
    text = (ROOT / "examples" / "ci" / "spacedsl.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["pages"]["steps"]
    lines = [step["run"] for step in steps if "run" in step]
    assert lines[0].startswith("pip install ")
    (tmp_path / "spaces").mkdir()
    page = tmp_path / "spaces" / "mine.space"
    page.write_text((ROOT / "spaces" / "vnni.space").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    for line in lines[1:]:
        done = run(*shlex.split(line)[1:])
        assert done.exit_code == 0, (line, done.output)
    page.write_text(page.read_text(encoding="utf-8") + "\n\n")
    assert run(*shlex.split(lines[1])[1:]).exit_code == 1
    page.write_text(page.read_text(encoding="utf-8").replace("stage1", "stagee1"))
    done = run(*shlex.split(lines[2])[1:])
    assert done.exit_code == 2
    assert done.stdout.startswith("::error title=unknown-stage,file=spaces/mine.space,line=")
