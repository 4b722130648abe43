"""The commands in the order people need them: where each is written, its line in the list of
commands, and examples for its help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Command(NamedTuple):
    """`at`: the file in this folder and its function, or its group of commands. `line`: what it is
    for, in the list of commands. `examples` follow its help."""

    at: str
    line: str
    examples: tuple[str, ...] = ()


GROUPS: Mapping[str, Mapping[str, Command]] = {
    "Write pages": {
        "init": Command(
            "init:init",
            "Begin a hyperspace for your device and your images.",
            (
                "spacedsl init --out mine.space",
                "spacedsl init --target vnni --image 224 --classes 10 --out mine.space",
            ),
        ),
        "check": Command(
            "check:check",
            "Find every error of a page.",
            (
                "spacedsl check mine.space",
                "spacedsl check spaces/ --format github",
                "spacedsl check vnni --target vnni --max-latency 90ms",
            ),
        ),
        "fmt": Command(
            "fmt:fmt",
            "Lay pages out in the one canonical way.",
            ("spacedsl fmt mine.space", "spacedsl fmt --check spaces/"),
        ),
        "explain": Command(
            "explain:explain",
            "Explain an error, with an example and its mend.",
            ("spacedsl explain not-a-member", "spacedsl explain"),
        ),
        "show": Command(
            "show:show",
            "Show sizes, costs and latencies of a page.",
            (
                "spacedsl show vnni",
                "spacedsl show seqnet-vnni-a0 --target vnni",
                "spacedsl show vnni --resolved",
            ),
        ),
        "diff": Command(
            "diff:diff",
            "Compare two pages by meaning.",
            ("spacedsl diff vnni found.space", "spacedsl diff vnni pixel4 --target vnni"),
        ),
        "covers": Command(
            "covers:covers",
            "Is every network of one page a network of another?",
            ("spacedsl covers onnxw vnni",),
        ),
        "sample": Command(
            "sample:sample",
            "Draw random models of a space.",
            ("spacedsl sample vnni", "spacedsl sample vnni -n 5 --out models/"),
        ),
        "which": Command(
            "which:which",
            "Tell which page a file was made from.",
            ("spacedsl which a0.onnx",),
        ),
        "import": Command(
            "import_:import_code",
            "Turn another notation into a page.",
            (
                "spacedsl import onnxw-151122-023231",
                "spacedsl import FILE.yml#a0 --out a0.space",
                "spacedsl import timm:mobilenetv4_conv_small --weights FILE --out net.space",
            ),
        ),
        "convert": Command(
            "convert:convert",
            "Write a model in another notation (timm, JSON).",
            ("spacedsl convert seqnet-vnni-a0 --to json",),
        ),
    },
    "Search spaces": {
        "score": Command(
            "score:score",
            "The best networks of a space under latency limits.",
            (
                "spacedsl score vnni --target vnni",
                "spacedsl score vnni --target vnni --limits 10,20ms --top 5",
            ),
        ),
        "evolve": Command(
            "evolve:evolve",
            "Search a hyperspace for the best space.",
            (
                "spacedsl evolve --hyper onnxw --target vnni --out found.space",
                "spacedsl evolve --hyper onnxw --target vnni --journal run.journal --resume",
            ),
        ),
        "optimum": Command(
            "optimum:optimum",
            "Prove which space of a hyperspace is the best.",
            ("spacedsl optimum --hyper onnxw --target vnni --journal optimum.journal",),
        ),
    },
    "Train and deploy": {
        "plan": Command(
            "plan:plan",
            "Say beforehand what training and searching will cost.",
            ("spacedsl plan mine.space --data imagefolder:photos",),
        ),
        "distill": Command(
            "distill:distill",
            "Measure block types by distillation on your data.",
            ("spacedsl distill --hyper hyper --data photos:DIR --teacher lite0 --out bkd",),
        ),
        "train": Command(
            "train:train",
            "Train a space's supernet, then with --qat.",
            (
                "spacedsl train vnni --data imagefolder:photos --out run",
                "spacedsl train vnni --data imagefolder:photos --out run --qat --target cpu",
            ),
        ),
        "search": Command(
            "search:search",
            "Find a trained supernet's best networks.",
            ("spacedsl search run --target cpu --data imagefolder:photos --out found",),
        ),
        "export": Command(
            "export:export",
            "Write a model as an INT8 or FP32 file.",
            (
                "spacedsl export seqnet-vnni-a0 --out a0.onnx",
                "spacedsl export seqnet-vnni-a0 --out a0.tflite --target pixel4",
            ),
        ),
        "eval": Command(
            "eval:evaluate",
            "Measure the accuracy of a deployed file.",
            ("spacedsl eval net.onnx --data imagefolder:photos",),
        ),
        "bench": Command(
            "bench:bench",
            "Measure the latency of a file or a model.",
            ("spacedsl bench a0.onnx --against fp32",),
        ),
        "compile": Command(
            "compile:compile_page",
            "Write the plans behind a page, to read.",
            ("spacedsl compile pixel4 --out plans/",),
        ),
    },
    "Devices and tables": {
        "target": Command("target:target", "Devices: list, profile, show, verify, export."),
        "tables": Command("tables:tables", "Tables of losses and latencies: fit, verify."),
        "analyze": Command(
            "analyze:analyze",
            "Measure what gains from INT8 on a device.",
            ("spacedsl analyze --target cpu --budget 3m --out figures/",),
        ),
        "doctor": Command(
            "doctor:doctor",
            "Show what this machine can do for INT8.",
            ("spacedsl doctor",),
        ),
    },
    "Editors and git": {
        "lsp": Command("lsp:lsp", "Serve editors.", ("spacedsl lsp --stdio",)),
        "git": Command("git:git", "Let git show and merge pages by meaning."),
    },
}
"""Heading -> name -> command."""

COMMANDS: Mapping[str, Command] = {
    name: command for group in GROUPS.values() for name, command in group.items()
}

WITHIN: Mapping[str, tuple[str, ...]] = {
    "target list": ("spacedsl target list",),
    "target profile": ("spacedsl target profile cpu", "spacedsl target profile cpu --budget 10m"),
    "target show": ("spacedsl target show vnni",),
    "target verify": ("spacedsl target verify cpu",),
    "target export": ("spacedsl target export cpu --out desk.space",),
    "tables verify": ("spacedsl tables verify lut/ --hyper onnxw",),
    "tables fit": (
        "spacedsl tables fit lut/ --hyper onnxw --out fitted/",
        "spacedsl tables fit --accuracies mine.csv --hyper mine.space --out mine.json",
        "spacedsl tables fit --latencies t.csv --column ms --hyper hyper --out t.json",
    ),
    "tables calibrate": ("spacedsl tables calibrate quality.json --accuracies known.csv",),
    "git install": ("spacedsl git install",),
    "git uninstall": ("spacedsl git uninstall",),
}
"""Examples of the commands within groups."""

FIRST_STEPS = (
    ("spacedsl show vnni", "what a page of the library says"),
    ("spacedsl evolve --hyper onnxw --target vnni", "search on published tables (half a minute)"),
    ("spacedsl init --out mine.space", "begin a hyperspace for your device and images"),
    ("spacedsl export seqnet-vnni-a0 --out a0.onnx", "an INT8 file (extra `onnx`)"),
    ("spacedsl doctor", "what this machine can do, and what is missing"),
)
"""What `spacedsl` alone proposes: a command, and what it does."""


def examples(path: str) -> tuple[str, ...]:
    """The examples of a command, named as on the command line without `spacedsl`."""
    return COMMANDS[path].examples if path in COMMANDS else WITHIN.get(path, ())


def every_example() -> Iterator[str]:
    """All examples."""
    yield from (line for line, _ in FIRST_STEPS)
    for command in COMMANDS.values():
        yield from command.examples
    for lines in WITHIN.values():
        yield from lines


ELSEWHERE = {
    "--version": "version",
    "--help": "help commands list",
    "check": "validate lint verify parse test",
    "fmt": "format prettify",
    "show": "info stats summary inspect describe print cat view latency cost plot",
    "diff": "compare difference",
    "export": "convert deploy to-onnx onnx tflite quantize quantise build",
    "init": "new create generate start",
    "eval": "evaluate validate-model accuracy infer predict run",
    "train": "fit learn finetune",
    "evolve": "optimize optimise tune explore nas",
    "doctor": "env status",
}
"""What to type -> words for it elsewhere."""
