"""spacedsl doctor: what this machine can do."""

from __future__ import annotations

from spacedsl.cli.boundary import FORMAT, Format, emit


def doctor(format: Format = FORMAT) -> None:
    """Show CPU features that matter for INT8, installed runtimes, and what is missing."""
    from spacedsl.runtimes.machine import extras, said_session, this_machine

    machine = this_machine()
    if format is Format.json:
        emit(machine.to_json())
        return
    known = "not told" if machine.features is None else ", ".join(machine.features) or "none"
    print(f"cpu       {machine.cpu} ({machine.architecture}), {machine.cores} usable cores")
    print(f"features  {known}")
    print(f"session   ONNX Runtime: {said_session(machine.onnxruntime_session)}")
    for extra, packages in extras().items():
        found = ", ".join(f"{p} {machine.packages[p] or '(missing)'}" for p in packages)
        print(f"{extra:<9} {found}")
    for warning in machine.warnings:
        print(f"warning: {warning}")
