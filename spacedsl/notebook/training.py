"""What trains, as a notebook calls it: the recipes of the commands, on the data that they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spacedsl.flows.deployment import Searched
from spacedsl.flows.distill import Distilled
from spacedsl.flows.distill import distill as distill_flow
from spacedsl.flows.distill_jobs import SAMPLES
from spacedsl.flows.distill_jobs import Settings as DistillSettings
from spacedsl.flows.evaluate import Evaluated
from spacedsl.flows.evaluate import evaluate as evaluate_flow
from spacedsl.flows.execution import Execution
from spacedsl.flows.search import predicting, search, searched_device, trained_space
from spacedsl.flows.train import Settings, Trained
from spacedsl.flows.train import train as train_flow
from spacedsl.ir.space import Space
from spacedsl.notebook.devices import AnyDevice, device_of, limits_of, target_of
from spacedsl.notebook.values import space_of
from spacedsl.notebook.watching import Callback, watching
from spacedsl.search.exact.executors import Processes


def train(
    space: Space | str | Path,
    data: str,
    out: str | Path,
    *,
    target: AnyDevice | None = None,
    init: str | Path | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    progress: Callback | None = None,
) -> Trained:
    """Train the supernet of a space on data (`imagefolder:DIR`, `digits`, ...) into the folder
    `out`, as `spacedsl train` does. Without a `target` in FP32; then, with one, LSQ+ follows for
    its 8-bit tensors. `init`: a checkpoint of the space's largest network, which begins with its
    weights. What is None is the data's usual. Raises `SpaceError`."""
    return train_flow(
        space_of(space),
        data,
        Path(out),
        target=target_of(target),
        init=None if init is None else Path(init),
        settings=Settings(steps=steps, epochs=epochs, batch=batch, lr=lr, seed=seed),
        execution=Execution(device=device),
        resume=resume,
        watch=watching(progress),
    )


def distill(
    hyper: Space | str | Path,
    data: str,
    teacher: str,
    out: str | Path,
    *,
    target: AnyDevice | None = "cpu",
    steps: int | None = None,
    lsq_steps: int | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    jobs: int = 1,
    device: str = "cpu",
    resume: bool = False,
    progress: Callback | None = None,
) -> Distilled:
    """Distil every block type of every stage of a hyperspace from a teacher (`lite0`,
    `checkpoint:RUN`, ...) into the folder `out`, as `spacedsl distill` does: in FP32, then with
    LSQ+ for the target's 8-bit tensors (None: not). `quality` of the result is a table for
    `evolve`. `samples` sub-stages are evaluated per width window and resolution; `jobs`: processes,
    0 for one per core. Raises `SpaceError`."""
    executor = None if jobs == 1 else Processes(jobs)
    return distill_flow(
        space_of(hyper),
        data,
        teacher,
        Path(out),
        target=target_of(target),
        settings=DistillSettings(steps=steps, lsq_steps=lsq_steps, samples=samples, seed=seed),
        execution=Execution(device=device),
        executor=executor,
        jobs=executor.jobs if executor else 1,
        resume=resume,
        watch=watching(progress),
    )


def search_models(
    run: str | Path,
    target: AnyDevice,
    out: str | Path,
    *,
    limits_ms: Sequence[float] = (),
    values: int | None = None,
    images: int | None = None,
    data: str | None = None,
    measure_s: float = 0.0,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    progress: Callback | None = None,
) -> Searched:
    """The best models of a supernet that `train` trained in the folder `run`, in FP32 and for a
    target, under latency limits; their pages and INT8 files are written into the folder `out`, as
    `spacedsl search` does. At most `values` models are valued, on at most `images` held-out
    training images. `measure_s`: seconds for which the files are timed here. Raises
    `SpaceError`."""
    folder, watch = Path(run), watching(progress)
    space, named = trained_space(folder), device_of(target)
    own = named.model is not None
    where = named.opened(space, watch) if own else searched_device(named.target, space, watch)
    return search(
        folder,
        where,
        Path(out),
        predicting(space, values, seed),
        limits_ms=sorted(limits_of(limits_ms)),
        data=data,
        images=images,
        measure_s=measure_s,
        execution=Execution(device=device),
        resume=resume,
        watch=watch,
    )


def evaluate(
    path: str | Path,
    data: str,
    *,
    threads: int = 1,
    runtime: str | None = None,
    progress: Callback | None = None,
) -> Evaluated:
    """The accuracy of an exported file on the test images of data, preprocessed as the file says.
    Raises `SpaceError`."""
    watch = watching(progress)
    return evaluate_flow(Path(path), data, threads=threads, runtime=runtime, watch=watch)
