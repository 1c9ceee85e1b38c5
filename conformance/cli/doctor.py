"""`meshmark doctor`: what would go wrong in a run, found before the run, each with what to do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from conformance.cli.trust_option import trust_option
from conformance.envoy.choose import choose_runtime
from conformance.mesh import Applications
from conformance.model.errors import EnvironmentFault, ExitCode, MeshmarkError, UsageError
from conformance.model.policy import Endpoint
from conformance.plugin.loading import LoadedRun, load_run
from conformance.plugin.options import DEFAULT_OUT, RunOptions
from conformance.plugin.run import wanted_runtime
from conformance.report.formats import ensure_writable
from conformance.system.engine import connect_engine
from conformance.system.folders import PrivateFolder
from conformance.system.guard import Guard
from conformance.system.networks import Network

__all__ = ["command"]

EARLIEST_PLAUSIBLE_DAY = date(2026, 1, 1)
"""Before the first release of this suite; a clock that shows less makes every certificate look not yet valid."""
SOON = timedelta(days=14)


@dataclass(frozen=True)
class Finding:
    """What was looked at and what was found. `problem` decides about the exit code; a hint does not."""

    topic: str
    found: str
    problem: MeshmarkError | None = None
    hint: str = ""


@click.command(name="doctor")
@click.argument("runfile", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=DEFAULT_OUT, show_default=True, help="Folder for the reports."
)
@click.option("--envoy", metavar="VERSION|PATH|IMAGE", help="As for certify.")
@click.option("--runtime", type=click.Choice(["auto", "process", "container"]), help="As for certify.")
@trust_option(required=False)
def command(runfile: Path, out: Path, envoy: str | None, runtime: str | None, trust: tuple[Path, ...]) -> int:
    """Look at everything that a run of RUNFILE needs, start nothing that stays, and say what to mend.

    Exit code 0 if a run can be started, else that of the first problem.
    """
    options = RunOptions(out=out, envoy=envoy, runtime=runtime, trust=trust)  # type: ignore[arg-type]  # click has checked the choice
    findings = asyncio.run(examine(runfile, options))
    for finding in findings:
        mark = "✘" if finding.problem else "!" if finding.hint else "✔"
        click.echo(f"{mark} {finding.topic}: {finding.found}")
        if finding.problem:
            click.echo("    " + str(finding.problem).replace("\n", "\n    "))
        if finding.hint:
            click.echo(f"    {finding.hint}")
    problems = [finding.problem for finding in findings if finding.problem]
    if problems:
        click.echo(f"\n{len(problems)} of {len(findings)} need mending before a run.")
        return problems[0].exit_code
    click.echo(f"\nAll is ready: meshmark certify {runfile}")
    return ExitCode.CONFORMANT


async def examine(runfile: Path, options: RunOptions) -> list[Finding]:
    """All findings. Without a readable run file only the machine is looked at."""
    findings = []
    loaded: LoadedRun | None = None
    try:
        loaded = load_run(runfile, options)
        findings.append(Finding("run file", f"{runfile}, profile {loaded.profile.id}, {_counted(loaded)} checks apply"))
    except UsageError as problem:
        findings.append(Finding("run file", "cannot be used", problem))
    if loaded:
        findings += [*_contracts(loaded), *_waivers(loaded)]
    findings += [_clock(), _ports(), _report_folder(options.out)]
    guard = Guard()
    try:
        findings.append(await _try("Envoy", lambda: _envoy(loaded, options, guard)))
        if loaded and loaded.run_file.separate_hosts:
            findings.append(await _try("hosts of their own", lambda: _hosts(guard)))
        findings.append(await asyncio.to_thread(_engine))
        if loaded:
            run = loaded
            findings.append(await _try("building blocks", lambda: _applications(run, guard)))
    finally:
        guard.close()
    return findings


async def _try(topic: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(topic, await look())
    except BaseExceptionGroup as several:
        known = several.subgroup(MeshmarkError)
        if known is None:
            raise
        problem = known.exceptions[0]
        assert isinstance(problem, MeshmarkError)  # noqa: S101 -- the subgroup holds nothing else
        return Finding(topic, "not usable", problem)
    except MeshmarkError as problem:
        return Finding(topic, "not usable", problem)


def _counted(loaded: LoadedRun) -> int:
    return sum(entry.run for entry in loaded.plan)


def _contracts(loaded: LoadedRun) -> list[Finding]:
    findings = []
    for contract in loaded.contracts:
        errors = [problem for problem in contract.problems if problem.severity == "error"]
        found = f"{contract.path.name}: OpenAPI {contract.openapi_version}, {len(contract.operations)} operations"
        hint = ""
        if errors:
            first = f"{errors[0].location}: {errors[0].message}"
            hint = f"{len(errors)} problems, which API-001 will report; the first: {first}"
        findings.append(Finding("contract", found, hint=hint))
    return findings


def _waivers(loaded: LoadedRun) -> list[Finding]:
    today = datetime.now(UTC).date()
    findings = []
    for waiver in loaded.waivers:
        left = (waiver.expires - today).days
        found = f"{waiver.check} until {waiver.expires} ({waiver.owner})"
        if left < 0:
            hint = "expired: it will fail the run; mend the fail or have the waiver renewed"
        elif waiver.expires - today <= SOON:
            hint = f"expires in {left} days"
        else:
            hint = ""
        findings.append(Finding("waiver", found, hint=hint))
    return findings


def _clock() -> Finding:
    today = datetime.now(UTC).date()
    if today < EARLIEST_PLAUSIBLE_DAY:
        problem = EnvironmentFault(
            f"it is {today}, which cannot be", next_step="set the clock: certificates and waivers depend on it"
        )
        return Finding("clock", "wrong", problem)
    return Finding("clock", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def _ports() -> Finding:
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
    except OSError as error:
        problem = EnvironmentFault(
            f"no free port on 127.0.0.1: {error.strerror}", next_step="end programs that hold too many ports"
        )
        return Finding("ports", "none free", problem)
    return Finding("ports", "127.0.0.1 has free ones")


def _report_folder(out: Path) -> Finding:
    try:
        ensure_writable(out)
    except MeshmarkError as problem:
        return Finding("report folder", str(out), problem)
    return Finding("report folder", f"{out} is writable")


async def _envoy(loaded: LoadedRun | None, options: RunOptions, guard: Guard) -> str:
    runtime = wanted_runtime(loaded, options) if loaded else options.runtime or "auto"
    envoy = options.envoy or (loaded.run_file.envoy if loaded else None)
    choice = await choose_runtime(runtime, envoy, guard)
    await choice.runtime.close()
    return f"{choice.runtime.version}, {choice.reason}"


async def _hosts(guard: Guard) -> str:
    network = await Network.create(["one", "another"], guard=guard)
    await network.remove()
    return "can be made (network namespaces)"


def _engine() -> Finding:
    try:
        engine = connect_engine()
    except MeshmarkError as problem:
        return Finding("container engine", "none answers", hint=f"only needed for containers: {problem.what}")
    version = engine.version().get("Version", "?")
    engine.close()
    return Finding("container engine", f"answers, version {version}")


async def _applications(loaded: LoadedRun, guard: Guard) -> str:
    timeouts = loaded.run_file.timeout_table()
    applications = Applications.of(loaded.run_file, loaded.path.resolve().parent, timeouts, guard)
    folder = PrivateFolder(guard)
    nowhere = dict.fromkeys(applications.calls(), Endpoint("127.0.0.1", 9))
    try:
        endpoints = await applications.start(nowhere, folder.path, lambda _, arguments: arguments)
    finally:
        await applications.stop()
        folder.remove()
    return ", ".join(f"{name} is ready at {endpoint.host}:{endpoint.port}" for name, endpoint in endpoints.items())
