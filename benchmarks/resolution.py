"""What losses of block-wise distillation say of the resolution, against trained subnets.

    python -m benchmarks.resolution --runs DIR [--subnets 20] [--images 2500] [--teacher-steps 800]
        [--steps 120] [--super-steps 800]

Trains the teacher of benchmarks/resolution.space on Fashion-MNIST, distils its hyperspace in FP32
both ways (`--teacher-resolution greatest` and `own`) and trains a supernet of one of its spaces,
each where DIR does not hold it yet. Random subnets of that space are then valued at each of the
three resolutions, as benchmarks/subnets.py does. Prints one JSON object a line: mean accuracy by
resolution; for each way mean loss (sum of the stages) by resolution, the share of subnets whose
losses and whose accuracies put the resolutions into the same order, and Kendall's tau of -loss and
accuracy over all pairs of subnet and resolution, and within each resolution."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import torch

from benchmarks.subnets import supernet_of
from spacedsl import api
from spacedsl.operators.size import Size
from spacedsl.search.subnets import random_member
from spacedsl.tables.files import load_quality
from spacedsl.tables.network_sums import network_losses
from spacedsl.tables.statistics import kendall_tau

PAGE = Path(__file__).with_suffix(".space")
DATA = ("--data", "fashion-mnist", "--threads", "1")
WAYS = ("greatest", "own")


def made(out: Path, last: str, *words: str) -> Path:
    """The folder of a command that was run to its end."""
    if not (out / last).exists():
        command = [sys.executable, "-m", "spacedsl", *words, *DATA, "--out", str(out), "--resume"]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return out


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--subnets", type=int, default=20)
    parser.add_argument("--images", type=int, default=2_500)
    parser.add_argument("--teacher-steps", default="800")
    parser.add_argument("--steps", default="120")
    parser.add_argument("--super-steps", default="800")
    args = parser.parse_args()
    torch.set_num_threads(1)
    last, train = "checkpoint.safetensors", ("--batch", "64", "--steps")
    page = f"{PAGE}#resolutions-teacher"
    teacher = made(args.runs / "teacher", last, "train", page, *train, args.teacher_steps)
    words = ("distill", "--hyper", f"{PAGE}#resolutions", "--teacher", f"checkpoint:{teacher}")
    rest = ("--fp32", "--batch", "32", "--samples", "16", "--steps", args.steps)
    tables = {
        way: made(
            args.runs / f"bkd-{way}",
            "quality.json",
            *(*words, *rest, "--teacher-resolution", way),
        )
        for way in WAYS
    }
    page = f"{PAGE}#of-resolutions"
    run = made(args.runs / "super-0", last, "train", page, *train, args.super_steps)
    one = supernet_of(run, page, args.images)
    rng, sizes = Random(0), one.space.resolutions
    drawn = [random_member(one.space, rng) for _ in range(args.subnets)]
    subnets = [[s.model_copy(update={"resolution": r}) for r in sizes] for s in drawn]
    top1 = np.array([[one.top1(s, "value") for s in row] for row in subnets])
    print(json.dumps({"top1": _by(sizes, 100 * top1.mean(axis=0))}), flush=True)
    space = api.load_space(page)
    flat = [s.model_copy(update={"of": space}) for row in subnets for s in row]
    for way, folder in tables.items():
        loss = network_losses(flat, load_quality(str(folder))).reshape(top1.shape)
        same = (np.argsort(-loss, axis=1) == np.argsort(top1, axis=1)).all(axis=1).mean()
        within = [kendall_tau(-loss[:, i], top1[:, i]) for i in range(len(sizes))]
        found = {
            "way": way,
            "loss": _by(sizes, loss.mean(axis=0)),
            "same_order": round(float(same), 3),
            "tau": round(kendall_tau(-loss.ravel(), top1.ravel()), 3),
            "tau_within": _by(sizes, np.array(within)),
        }
        print(json.dumps(found), flush=True)


def _by(sizes: tuple[Size, ...], values: np.ndarray) -> dict[Size, float]:
    return {size: round(float(value), 3) for size, value in zip(sizes, values, strict=True)}


if __name__ == "__main__":
    main()
