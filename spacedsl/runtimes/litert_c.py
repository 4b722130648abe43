"""LiteRT's C interface, as far as profiling needs it: the Python package has no profiler, the
library inside it has. Checked with ai-edge-litert 2.3; another major version is refused."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

from spacedsl.diagnostics import fault
from spacedsl.runtimes.quiet import quiet_library

MAJOR = "2."
HANDLE = c.c_void_p
Shape = tuple[int, ...]
FLOAT32 = 1
CPU = 1
WRITE = 1
"""The interface's numbers for a data type, an accelerator and a kind of access."""

DELETER = c.CFUNCTYPE(None, HANDLE)


class Layout(c.Structure):
    """Shape of a tensor. The lowest seven bits of `rank` are the rank."""

    _fields_ = (("rank", c.c_uint32), ("sizes", c.c_int32 * 8), ("strides", c.c_uint32 * 8))


class TensorType(c.Structure):
    """Data type and shape of a tensor."""

    _fields_ = (("element", c.c_int), ("layout", Layout))


class Event(c.Structure):
    """What the profiler saw: `tag`, its `kind` and how long it took."""

    _fields_ = (
        ("tag", c.c_char_p),
        ("kind", c.c_int),
        ("start_us", c.c_uint64),
        ("elapsed_us", c.c_uint64),
        ("memory", c.c_int64 * 6),
        ("metadata", c.c_uint64 * 2),
        ("source", c.c_int),
    )


OPERATORS = (2, 8)
"""The kinds of events that are one operator: of LiteRT's own, and of XNNPACK."""


class Library:
    """The functions, each of which returns a status; handles are destroyed in `close`."""

    def __init__(self) -> None:
        version, found = metadata.version("ai-edge-litert"), util.find_spec("ai_edge_litert")
        if not version.startswith(MAJOR) or found is None or found.origin is None:
            message = f"the profiler of ai-edge-litert {version} is not known"
            raise fault("wrong-version", message, f"install ai-edge-litert {MAJOR}x")
        self._library = c.CDLL(str(Path(found.origin).with_name("libLiteRt.so")))
        self._made: list[tuple[str, HANDLE]] = []
        self._kept: list[object] = []

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the interface. Raises `SpaceError` where it fails."""
        status = getattr(self._library, f"LiteRt{name}")(*arguments)
        if status:
            raise fault("bad-tflite", f"LiteRT cannot profile this file: {name} gives {status}")

    def make(self, name: str, *arguments: Any, destroy: str = "") -> HANDLE:
        """Call a function that makes a handle, its last argument."""
        made = HANDLE()
        self.call(name, *arguments, c.byref(made))
        if destroy:
            self._made.append((destroy, made))
        return made

    def option(self, options: HANDLE, kind: str, text: str) -> None:
        """Add options of a kind, in its textual form."""
        payload, deleter = c.create_string_buffer(text.encode()), DELETER(lambda pointer: None)
        self._kept += [payload, deleter]
        made = self.make("CreateOpaqueOptions", kind.encode(), c.cast(payload, HANDLE), deleter)
        self.call("AddOpaqueOptions", options, made)

    def close(self) -> None:
        """Destroy what was made, newest first."""
        while self._made:
            name, handle = self._made.pop()
            getattr(self._library, f"LiteRtDestroy{name}")(handle)


class Profiled:
    """A model whose operators are timed. `model` (a TFLite file), `image` and `outputs` (shapes of
    its float32 input and outputs). Raises `SpaceError` where LiteRT cannot load it."""

    def __init__(self, model: bytes, image: Shape, outputs: Sequence[Shape], threads: int) -> None:
        self._api = api = Library()
        self._model = c.create_string_buffer(model, len(model))
        try:
            with quiet_library():
                self._run, self._profiler = self._open(api, image, outputs, threads)
        except BaseException:
            self.close()
            raise

    def _open(
        self, api: Library, image: Shape, outputs: Sequence[Shape], threads: int
    ) -> tuple[Callable[[], None], HANDLE]:
        env = api.make("CreateEnvironment", 0, None, destroy="Environment")
        size = c.c_size_t(len(self._model))
        model = api.make("CreateModelFromBuffer", env, self._model, size, destroy="Model")
        options = api.make("CreateOptions", destroy="Options")
        api.call("SetOptionsHardwareAccelerators", options, CPU)
        api.option(options, "runtime_options_string", "enable_profiling = true\n")
        api.option(options, "xnnpack", f"num_threads = {threads}\n")
        compiled = api.make("CreateCompiledModel", env, model, options, destroy="CompiledModel")
        read = self._buffers(api, env, compiled, "Input", [image])
        made = self._buffers(api, env, compiled, "Output", outputs)
        buffers = c.c_size_t(len(read)), read, c.c_size_t(len(made)), made

        def run() -> None:
            api.call("RunCompiledModel", compiled, c.c_size_t(0), *buffers)

        return run, api.make("CompiledModelGetProfiler", compiled)

    def _buffers(
        self, api: Library, env: HANDLE, compiled: HANDLE, kind: str, shapes: Sequence[Shape]
    ) -> c.Array[HANDLE]:
        """A buffer of zeros for every input or output."""
        made = [self._buffer(api, env, compiled, kind, i, s) for i, s in enumerate(shapes)]
        return (HANDLE * len(made))(*made)

    @staticmethod
    def _buffer(
        api: Library, env: HANDLE, compiled: HANDLE, kind: str, index: int, shape: Shape
    ) -> HANDLE:
        first, place = c.c_size_t(0), c.c_size_t(index)
        needs = api.make(f"GetCompiledModel{kind}BufferRequirements", compiled, first, place)
        layout = Layout(len(shape), (c.c_int32 * 8)(*shape))
        type = TensorType(FLOAT32, layout)
        made = api.make(
            "CreateManagedTensorBufferFromRequirements",
            env,
            c.byref(type),
            needs,
            destroy="TensorBuffer",
        )
        address, size = HANDLE(), c.c_size_t()
        api.call("GetTensorBufferSize", made, c.byref(size))
        api.call("LockTensorBuffer", made, c.byref(address), WRITE)
        c.memset(address, 0, size.value)
        api.call("UnlockTensorBuffer", made)
        return made

    def run(self) -> tuple[tuple[str, int], ...]:
        """One inference: the operators in execution order, each with its microseconds."""
        api, profiler = self._api, self._profiler
        api.call("ResetProfiler", profiler)
        api.call("StartProfiler", profiler)
        self._run()
        api.call("StopProfiler", profiler)
        count = c.c_int()
        api.call("GetNumProfilerEvents", profiler, c.byref(count))
        events = (Event * count.value)()
        api.call("GetProfilerEvents", profiler, count, events)
        return tuple(
            (event.tag.decode(errors="replace"), int(event.elapsed_us))
            for event in events
            if event.kind in OPERATORS
        )

    def close(self) -> None:
        """Free the model."""
        with quiet_library():
            self._api.close()
