"""The file that a target runs, and the version of the runtime that its page asks for."""

from __future__ import annotations

from spacedsl.compiler.export import FILES
from spacedsl.compiler.plans import int8_plan, network_plan
from spacedsl.compiler.untrained import untrained_model
from spacedsl.diagnostics import fault
from spacedsl.hosts.host import Host
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.runtimes.table import rules_of, runtime_of


def version_on(host: Host, target: Target) -> str:
    """Of the target's runtime on a host. Raises `SpaceError` where there is none, or another
    version than the page asks for."""
    runtime = runtime_of(target)
    version = host.version(runtime)
    if not f"{version}.".startswith(f"{target.version}." if target.version else ""):
        message = (
            f"target `{target.name}` is of {runtime.name} {target.version}, there is {version}"
        )
        raise fault("wrong-version", message, "install that version, or change the page")
    return version


def artifact_of(subnet: Subnet, target: Target) -> bytes:
    """A model as its target runs it, with weights of no meaning. Raises `SpaceError`."""
    files = FILES[runtime_of(target).format]
    files.need()
    plan = int8_plan(network_plan(subnet), rules_of(target), target)
    return files.integers(untrained_model(plan, seed=0))
