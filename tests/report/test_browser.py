"""Reports in a real browser: they load nothing, complain of nothing, fit a phone, and nothing that
is drawn is cut or covered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from spacedsl import api
from spacedsl.flows.distill import Distilled, Losses
from spacedsl.lang.write import write
from spacedsl.report.distill import distill_report
from spacedsl.report.parts import Made, Report
from spacedsl.report.render import html
from spacedsl.report.verify import verify_report
from spacedsl.targets.verify import Checked, Verification
from tests.report.browser import COVERED, SMALL, Browser, browser, check_whole, needs_browser
from tests.support import ROOT

pytestmark = [needs_browser, pytest.mark.slow]

SEARCH = ("evolve", "--hyper", "onnxw", "--target", "vnni")
OPTIMUM = ("--target", "vnni", "--limits", "10ms", "--top", "3", "--jobs", "1")
A4 = 718
"""Its width in pixels, less the margins that browsers leave."""

NARROW = "narrow.space"
PAGE = """language 1
hyperspace narrow of onnxw {
  stage1 { mbv2 width 32, 48 }
  stage2 { fused width 64, 80 }
  stage3 { mbv2 width 112, 128, 144 }
  stage4 { mbv2 width 144, 160, 176 }
}
"""
COMMANDS = {
    "model": ("show", "seqnet-vnni-a0", "--target", "vnni"),
    "space": ("show", "vnni", "--target", "vnni"),
    "hyperspace": ("show", "hyper"),
    "tiny": ("show", "tiny"),
    "diff": ("diff", "vnni", "pixel4"),
    "diff-models": ("diff", "seqnet-vnni-a0", "seqnet-vnni-a1"),
    "same": ("diff", "vnni", "vnni"),
    "analysis": ("analyze", "--target", "vnni"),
    "search": (*SEARCH, "--cycles", "40", "--population", "20", "--sample", "5"),
    "search-two": (*SEARCH, "--target", "pixel4", "--cycles", "12", "--population", "6"),
    "search-qt": (*SEARCH, "--definition", "qt", "--samples", "200", "--cycles", "20"),
    "optimum": ("optimum", "--hyper", NARROW, *OPTIMUM),
}
TEXTS = {
    "model": ("seqnet-vnni-a0", "163.5M", "5.441 ms on vnni", "Shares by stage", "stage6"),
    "space": ("vnni", "8.295e+38", "5.428 to 84.5 ms on vnni", "width 32, 48"),
    "hyperspace": ("hyper", "fused-se", "mbv1-dual", "240,945,152"),
    "tiny": ("tiny", "The page"),
    "diff": ("before: vnni", "after: pixel4", "144, 152, 160", "mbv2-plain"),
    "diff-models": ("8.871 ms", "112 k5 e6"),
    "same": ("Both say the same",),
    "analysis": ("What vnni likes in 8 bits", "bottleneck", "Not known of a device"),
    "search": ("Published vnni", "78.26 ± 0.49", "40 spaces were scored", "seed", "too close"),
    "search-two": ("for vnni and pixel4", "Best networks on pixel4", "In numbers on vnni"),
    "search-qt": ("Q-T scores", "20 spaces were scored"),
    "optimum": ("Certificate", "This is proven.", "79.26 ± 0.46", "Of 576 spaces"),
}


def distilled() -> Report:
    """A distillation's losses: they fall by step."""
    space = api.load_space("onnxw")
    stages = [space.stages[place] for place in space.elastic]
    curve = tuple((step, 0.9 * 0.97 ** (step / 10)) for step in range(10, 501, 10))
    jobs = tuple(
        Losses(f"{stage.name} {i}", stage.name, choice, (0.1 + i / 20, 0.2 + i / 20), curve)
        for stage in stages
        for i, choice in enumerate(stage.choices)
    )
    found = Distilled(space, Path("bkd"), None, jobs, Path("quality.json"))
    return distill_report(found, (("data", "digits"),), write(space), Made("spacedsl distill", ()))


def verified() -> Report:
    """Sixty networks of three spaces, one of which the model does not cover."""
    rng = np.random.default_rng(1)
    ms = np.exp(rng.normal(2, 0.7, 60))
    errors = np.append(rng.normal(0, 0.03, 59), np.nan)
    checked = tuple(
        Checked(
            name=f"network-{i}",
            space=("vnni", "pixel4", "a-space-of-a-longer-name")[i % 3],
            predicted_ms=ms[i] * (1 + errors[i]),
            measured_ms=ms[i],
            low_ms=ms[i] * 0.99,
            high_ms=ms[i] * 1.01,
            split_half=0.01,
            error=errors[i],
            coverage="measured" if i < 59 else "uncovered",
        )
        for i in range(60)
    )
    result = Verification(checked, factor=1.01, rounds=24, clock="cpu")
    return verify_report(api.load_target("cpu"), result, Made("spacedsl target verify cpu", ()))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("made_of", [distilled, verified])
def test_a_report_of_what_takes_minutes_is_whole(
    chromium: Browser, tmp_path: Path, made_of: Callable[[], Report], width: int
) -> None:
    """These commands train or measure for minutes, so their reports are made of made-up values."""
    page = tmp_path / "report.html"
    page.write_text(html(made_of()), encoding="utf-8")
    check_whole(chromium, page, width)
    if made_of is verified:
        text = chromium.value("document.body.textContent")
        assert "60, of which 1 is not covered" in text


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every command's report."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / NARROW).write_text(PAGE, encoding="utf-8")
    found = {}
    for name, words in COMMANDS.items():
        found[name] = folder / f"{name}.html"
        done = subprocess.run(
            [sys.executable, "-m", "spacedsl", *words, "--html", str(found[name])],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
    return found


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_report_is_whole(chromium: Browser, made: dict[str, Path], name: str, width: int) -> None:
    check_whole(chromium, made[name], width)
    text = chromium.value(
        "document.body.textContent + [...document.querySelectorAll('[data-said]')]"
        ".map((e) => e.dataset.said).join(' ')"
    )
    for words in TEXTS[name]:
        assert words in text
    assert f"--html {made[name]}" in text


@pytest.mark.parametrize("name", ["search-two", "diff", "optimum"])
def test_a_report_is_whole_on_paper(chromium: Browser, made: dict[str, Path], name: str) -> None:
    """As wide as A4 within its margins, black on white for readers who see it dark."""
    chromium.open(made[name], A4, dark=True, paper=True)
    assert chromium.value("document.documentElement.scrollWidth") <= A4
    assert chromium.value(COVERED) == []
    assert chromium.value(SMALL) == []
    assert chromium.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert chromium.value("getComputedStyle(document.querySelector('.wide')).display") == "block"


def test_colours_follow_the_reader(chromium: Browser, made: dict[str, Path]) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    chromium.open(made["space"])
    light = chromium.value(background)
    chromium.open(made["space"], dark=True)
    assert light == "rgb(255, 255, 255)"
    assert chromium.value(background) != light


def test_pictures_say_what_they_show(chromium: Browser, made: dict[str, Path]) -> None:
    """Every picture has a title and a description of its own, for readers who do not see it."""
    chromium.open(made["model"])
    ids = chromium.value(
        "[...document.querySelectorAll('svg')].map((s) => s.getAttribute('aria-labelledby'))"
    )
    assert len(ids) == len(set(ids)) > 1
    for said in ids:
        for one in said.split():
            assert chromium.value(f"document.getElementById({one!r}).textContent")


def test_a_point_says_more_when_pointed_at(chromium: Browser, made: dict[str, Path]) -> None:
    chromium.open(made["space"])
    place = chromium.value(
        "(() => { const r = document.querySelector('svg .cell rect').getBoundingClientRect();"
        " return [r.left + r.width / 2, r.top + r.height / 2]; })()"
    )
    assert chromium.value("document.querySelector('.tip').hidden")
    chromium.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    assert not chromium.value("document.querySelector('.tip').hidden")
    assert "width 16, 32" in chromium.value("document.querySelector('.tip').textContent")


def test_without_scripts_the_browser_says_it(chromium: Browser, made: dict[str, Path]) -> None:
    chromium.open(made["space"], script=False)
    assert chromium.said == []
    text = chromium.call("DOM.getDocument", depth=-1)
    assert "width 16, 32" in str(text)


def test_what_a_page_says_is_never_run(chromium: Browser, tmp_path: Path) -> None:
    """Neither a comment, nor a name of a file."""
    script = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
    text = (ROOT / "spaces" / "tiny.space").read_text(encoding="utf-8")
    page = tmp_path / "<script>document.title='run'<script>.space"
    page.write_text(f"{text}\n# </code></pre>{script}\n", encoding="utf-8")
    out = tmp_path / "out.html"
    done = subprocess.run(
        [sys.executable, "-m", "spacedsl", "show", str(page), "--html", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    chromium.open(out)
    assert chromium.said == []
    assert chromium.value("document.title") != "run"
    assert chromium.value("document.querySelectorAll('img').length") == 0
    assert script in chromium.value("document.body.textContent")
