"""search: subnets under limits, deployed as they were trained; resumable; clear refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from spacedsl import api
from spacedsl.checksum import KEY, sealed
from spacedsl.flows.deployment import Deployment, Searched, Valued
from spacedsl.ir.subnet import Subnet
from spacedsl.search import sealed_lines as journals
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.train.quantise import QAT_FOLDER, fp32_settings
from spacedsl_runtime.train.recipe import qat_recipe_for
from spacedsl_runtime.train.run import ABOUT, checksum_of
from tests.cli.test_commands import run, run_json
from tests.report.browser import browser, check_whole, needs_browser
from tests.runtime.test_data import write_fashion
from tests.runtime.training import PAGE, Stopped, job, mini_plan
from tests.runtime.training import run as train
from tests.support import item_of
from tests.targets.made_up_target import write_target

QUICK = ("--population", "8", "--rounds", "2", "--images", "64", "--window", "0.3")


def quantise(folder: Path, stop: int = 0) -> None:
    """QAT of the training in a folder."""
    recipe = qat_recipe_for(open_data("digits"), fp32_settings(folder), steps=8, batch=32)
    made = job(
        folder / QAT_FOLDER,
        open_data("digits"),
        plan=mini_plan(PAGE, "cpu"),
        recipe=recipe,
        evaluate_every=8,
        fp32=folder,
    )
    train(made, stop=stop)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `run`, trained and quantised, and a target's page."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("search")
    data = open_data("digits")
    train(job(folder / "run", data, steps=60, batch=32, lr=0.5, evaluate_every=60))
    quantise(folder / "run")
    space = item_of(PAGE, "mini")
    write_target(folder, space)  # type: ignore[arg-type]
    return folder


def words(trained: Path, out: Path, *more: str, limits: str = "") -> list[str]:
    target = str(trained / "made-up.space")
    common = ["search", str(trained / "run"), "--target", target, "--out", str(out), *QUICK]
    return [*common, "--limits", limits or latencies(trained), *more]


def latencies(trained: Path) -> str:
    """Two limits within the space's range."""
    low, high = range_ms(trained)
    return f"{low + 0.3 * (high - low):.4f},{high:.4f}ms"


def range_ms(trained: Path) -> tuple[float, float]:
    from spacedsl.targets.device import open_device
    from spacedsl.targets.ranges import latency_range

    space = api.load_space(str(trained / "run" / "resolved.space"))
    found = latency_range(
        space, open_device(api.load_target(str(trained / "made-up.space"))).latency
    )
    assert found.least_ms is not None
    assert found.greatest_ms is not None
    return found.least_ms, found.greatest_ms


@pytest.fixture(scope="module")
def whole(trained: Path) -> Path:
    """What an undisturbed search writes."""
    out = trained / "models"
    found = run_json(*words(trained, out))
    (trained / "result.json").write_text(json.dumps(found))
    return out


@pytest.fixture(scope="module")
def looked_at(trained: Path, whole: Path) -> tuple[Path, dict[str, Any]]:
    """The page of a search whose journal has all subnets, and its result."""
    out, page = trained / "again", trained / "search.html"
    shutil.copytree(whole, out)
    return page, run_json(*words(trained, out, "--resume", "--html", str(page)))


@pytest.mark.slow
def test_a_search_is_looked_at_as_a_page(looked_at: tuple[Path, dict[str, Any]]) -> None:
    """With every subnet that was valued, also where the journal has all of them."""
    page, result = looked_at
    text = page.read_text(encoding="utf-8")
    assert text.count('class="m c7 faint"') >= 2 * result["valued"]
    for model in result["models"]:
        assert model["name"] in text
        assert f"{model['top1']:.2%}" in text


@needs_browser
@pytest.mark.slow
def test_its_page_is_whole_in_a_browser(
    looked_at: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    page, result = looked_at
    with browser(tmp_path) as chromium:
        for width in (1280, 390):
            check_whole(chromium, page, width)
        shown = chromium.value("document.body.textContent")
        names = [model["name"] for model in result["models"]]
        assert [n for n in (*names, "Accuracy and latency") if n not in shown] == []


def test_limits_of_a_target_that_keep_no_subnet_out_are_replaced(
    trained: Path, tmp_path: Path
) -> None:
    """A supernet much faster than its target gets limits of its own, not one file thrice."""
    far = trained / "far.space"
    text = (trained / "made-up.space").read_text()
    far.write_text(text.replace("target made-up", "target far").replace("1ms, 2ms", "500ms, 600ms"))
    few = ("--population", "4", "--rounds", "1", "--images", "16", "--window", "0.5")
    asked = ("search", str(trained / "run"), "--target", str(far), "--out", str(tmp_path / "out"))
    found = run(*asked, *few)
    assert found.exit_code == 0, found.output
    assert "taken instead" in found.stderr
    models = json.loads((tmp_path / "out" / "front.json").read_text())["models"]
    least, greatest = range_ms(trained)
    assert len(models) > 2
    assert all(least <= model["limit_ms"] < 1.1 * greatest for model in models)


def contents(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in out.iterdir()}


def test_found_models_are_pages_and_files_of_equal_accuracy(trained: Path, whole: Path) -> None:
    front = json.loads((whole / "front.json").read_text())
    models = front["models"]
    assert [m["limit_ms"] for m in models] == sorted(m["limit_ms"] for m in models)
    for model in models:
        assert model["predicted_ms"] <= model["limit_ms"]
        assert model["supernet_top1"] == model["top1"]
        page = whole / model["page"]
        subnet = api.load(str(page))
        assert isinstance(subnet, Subnet)
        facts = run_json("show", str(page), "--target", str(trained / "made-up.space"))
        assert facts["hash"] == model["hash"]
        assert facts["flops"] == model["flops"]
        assert facts["latency"]["total_ms"] == pytest.approx(model["predicted_ms"])
        deployed = run_json("eval", str(whole / model["file"]), "--data", "digits")
        assert deployed["top1"] == model["top1"]
        assert deployed["hash"] == model["hash"]
    names = {name for m in models for name in (m["page"], m["file"], m["weights"])}
    rest = {"front.json", "search.jsonl", "mini.space", "front.png"}
    assert names <= set(contents(whole)) <= names | rest
    result = json.loads((trained / "result.json").read_text())
    assert result["models"] == models
    assert result["valued"] == len((whole / "search.jsonl").read_text().splitlines()) - 1


def test_channels_and_classes_are_the_datas(trained: Path, whole: Path, tmp_path: Path) -> None:
    """Whatever the page of the space says: pages, costs and files are the same."""
    shutil.copytree(trained / "run", tmp_path / "run")
    page, out = tmp_path / "run" / "resolved.space", tmp_path / "models"
    text = page.read_text()
    for said, other in (("input 1 x", "input 3 x"), ("linear -> 10", "linear -> 1000")):
        assert said in text
        text = text.replace(said, other)
    page.write_text(text)
    about = tmp_path / "run" / ABOUT
    said = json.loads(about.read_text())
    said["files"][page.name] = checksum_of(page)
    about.write_text(json.dumps(sealed({k: v for k, v in said.items() if k != KEY})))
    args = words(trained, out)
    args[1] = str(tmp_path / "run")
    run_json(*args)
    assert contents(out) == contents(whole)
    assert "input 1 x" in (out / "mini.space").read_text()


@pytest.mark.parametrize("lines", [1, 9])
def test_a_resumed_search_writes_the_same(
    lines: int, trained: Path, whole: Path, tmp_path: Path
) -> None:
    """Killed after some lines of its journal, in the middle of the next one."""
    out = tmp_path / "models"
    out.mkdir()
    journal = (whole / "search.jsonl").read_bytes().splitlines(keepends=True)
    (out / "search.jsonl").write_bytes(b"".join(journal[:lines]) + journal[lines][:7])
    run_json(*words(trained, out, "--resume"))
    assert contents(out) == contents(whole)


@pytest.fixture(scope="module")
def predicted(trained: Path) -> Path:
    """What an undisturbed search by prediction writes."""
    out = trained / "predicted"
    found = run_json(*by_prediction(trained, out))
    said = json.loads((out / "front.json").read_text())["search"]
    assert found["valued"] == len((out / "search.jsonl").read_text().splitlines()) - 1 <= 130
    assert said["values"] == 130
    assert said["random"] >= 20
    assert "population" not in said
    return out


def by_prediction(trained: Path, out: Path, *more: str) -> list[str]:
    args = [a for a in words(trained, out) if a not in QUICK]
    return [*args, "--images", "64", "--values", "130", *more]


@pytest.mark.slow
def test_a_prediction_finds_models_that_keep_their_limits(trained: Path, predicted: Path) -> None:
    """The best of all that were valued, by the journal."""
    lines = (predicted / "search.jsonl").read_bytes().splitlines(keepends=True)[1:]
    values = dict(journals.unsealed_line(line) for line in lines)
    models = json.loads((predicted / "front.json").read_text())["models"]
    for model in models:
        assert model["predicted_ms"] <= model["limit_ms"]
        assert model["supernet_top1"] == model["top1"]
        facts = run_json(
            "show", str(predicted / model["page"]), "--target", str(trained / "made-up.space")
        )
        assert facts["latency"]["total_ms"] == pytest.approx(model["predicted_ms"])
    assert models[-1]["held_out_top1"] == max(values.values())  # its limit is above all latencies


@pytest.mark.slow
@pytest.mark.parametrize("lines", [60, -1])
def test_a_resumed_prediction_writes_the_same(
    lines: int, trained: Path, predicted: Path, tmp_path: Path
) -> None:
    """Killed in the middle of a line: among the random subnets, and in the last round."""
    out = tmp_path / "models"
    out.mkdir()
    known = (predicted / "search.jsonl").read_bytes().splitlines(keepends=True)
    (out / "search.jsonl").write_bytes(b"".join(known[:lines]) + known[lines][:7])
    run_json(*by_prediction(trained, out, "--resume"))
    assert contents(out) == contents(predicted)


@pytest.mark.slow
def test_a_prediction_killed_by_the_system_goes_on_to_the_same(
    trained: Path, predicted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "models"
    command = [sys.executable, "-m", "spacedsl", *by_prediction(trained, out)]
    path = out / "search.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline:
            if path.exists() and path.read_bytes().count(b"\n") > 30:
                break
            time.sleep(0.001)
        assert running.poll() is None, "it ended before it was killed"
        os.kill(running.pid, signal.SIGKILL)
    assert not (out / "front.json").exists()
    run_json(*by_prediction(trained, out, "--resume"))
    assert contents(out) == contents(predicted)


def test_how_to_search_is_said_by_options(
    trained: Path, predicted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(message: str, *args: str) -> None:
        found = run_json(*args, code=2)["diagnostics"][0]
        assert found["code"] in ("bad-option", "journal-differs")
        assert message in found["message"]

    new = tmp_path / "new"
    both = (*words(trained, new), "--by", "prediction")
    refused("--population is of --by evolution", *both)
    values = (*by_prediction(trained, new), "--by", "evolution")
    refused("--values is of --by prediction", *values)
    few = by_prediction(trained, new)
    few[few.index("130")] = "19"
    refused("19 valued subnets are too few for a prediction", *few)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    few[few.index("--target") + 1] = "cpu"
    refused("19 valued subnets are too few for a prediction", *few)
    assert not new.exists()
    assert not (tmp_path / "cache").exists(), "nothing is measured before that is said"
    refused("values is 130", *words(trained, predicted, "--resume"))


def test_what_a_search_refuses(trained: Path, whole: Path, tmp_path: Path) -> None:
    def refused(code: str, message: str, *args: str) -> None:
        found = run_json(*args, code=2)["diagnostics"][0]
        assert found["code"] == code
        assert message in found["message"]

    low, high = range_ms(trained)
    new = tmp_path / "new"
    refused("journal-exists", "exists", *words(trained, whole))
    refused(
        "journal-differs",
        "seed is 0, this search's is 3",
        *words(trained, whole, "--resume", "--seed", "3"),
    )
    refused(
        "no-subnet",
        f"no subnet of mini meets 1e-06 ms: their latencies are {low:.4g} to {high:.4g} ms",
        *words(trained, new, limits="0.000001ms"),
    )
    assert not new.exists()
    write_fashion(tmp_path, 20, 10)
    other = f"fashion-mnist:{tmp_path}"
    refused("bad-data", "is not what", *words(trained, new, "--data", other))
    args = words(trained, new)
    refused("bad-run", "holds no training", "search", str(tmp_path), *args[2:])
    copied = tmp_path / "run"
    shutil.copytree(trained / "run", copied)
    shutil.rmtree(copied / QAT_FOLDER)
    refused("bad-run", "holds no QAT", "search", str(copied), *args[2:])
    with pytest.raises(Stopped):
        quantise(copied, stop=6)
    refused("bad-run", "QAT in", "search", str(copied), *args[2:])
    header, first, *_ = (whole / "search.jsonl").read_bytes().splitlines(keepends=True)
    bad = tmp_path / "bad"
    bad.mkdir()
    key, _ = journals.unsealed_line(first)
    for line, message in (
        (first.replace(b"0.", b"7."), "its checksum is wrong"),
        (journals.sealed_line([key, 7.5]), "is no accuracy"),
    ):
        (bad / "search.jsonl").write_bytes(header + line)
        refused("bad-journal", message, *words(trained, bad, "--resume"))
    page = trained / "other.space"
    text = (trained / "made-up.space").read_text().replace("target made-up", "target other")
    page.write_text(text.replace('latency "made-up.npz"', 'latency "vnni"'))
    args[args.index("--target") + 1] = str(page)
    refused("table-missing", "vnni", *args)


def test_measured_latencies_are_shown_beside(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    result = run(*words(trained, out, "--measure", "0.5"))
    assert result.exit_code == 0, result.stderr
    assert re.search(r"measuring on made-up: \d+ files?, at most about 0.5 seconds", result.stderr)
    assert "measured" in result.stdout
    found = json.loads((out / "measured.json").read_text())
    assert set(found["latency_ms"]) == {
        m["name"] for m in json.loads((out / "front.json").read_text())["models"]
    }
    assert all(t["median"] > 0 for t in found["latency_ms"].values())


def test_a_plot_is_drawn_where_matplotlib_is(whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from spacedsl.cli.front import plot

    front: dict[str, Any] = json.loads((whole / "front.json").read_text())
    models = tuple(
        Deployment(**{k: v for k, v in m.items() if k != "pareto"}) for m in front["models"]
    )
    valued = tuple(Valued("a subnet", 0.5 + i / 10, 0.5 + i / 100) for i in range(20))
    space, target = api.load_space(str(whole / "mini.space")), api.load_target("cpu")
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        found = Searched(space, target, "digits", folder, front["search"], models, valued)
        assert found.front == front
        assert plot(found) == str(folder / "front.png")
    assert (first / "front.png").read_bytes() == (second / "front.png").read_bytes()
