"""`meshmark policy`: what an operator does with the policies of a running mesh."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from conformance.cli import policy_text
from conformance.cli.operating import Operator, intended, key_named, operating
from conformance.model.errors import ExitCode, UsageError
from conformance.policy.client import Committed
from conformance.policy.documents import InvalidPolicies, located
from conformance.policy.documents.problems import name_of
from conformance.policy.files import read_policy_files
from conformance.policy.store import ProxyState, Write

__all__ = ["command"]

MESH = click.option("--mesh", "mesh", metavar="NAME", help="Which mesh, if several run.")
NOTE = click.option("--note", default="", help="Why, for the audit log.")
WAIT = click.option("--wait", is_flag=True, help="Wait until it is in force everywhere, or rejected.")
FORMAT = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="For whom.")
VERSION = click.IntRange(0)


@click.group(name="policy")
def command() -> None:
    """The policies of a running mesh: who may call what, and how calls are treated."""


@command.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE_OR_DIR...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, or what is wrong; change nothing.")
@click.option("--since", type=VERSION, help="Refuse if one of them was changed after this version.")
@NOTE
@WAIT
@MESH
def apply(paths: tuple[Path, ...], dry_run: bool, since: int | None, note: str, wait: bool, mesh: str | None) -> int:
    """Put the policies of these files and folders in force: all of them, or none.

    A service whose document says nothing of `endpoints` keeps those that it has. Exit code 1 if a security server
    rejects the version, as far as --wait waits for it.
    """
    return asyncio.run(_apply(paths, dry_run=dry_run, since=since, note=note, wait=wait, mesh=mesh))


@command.command()
@click.argument("policy", required=False, metavar="[KIND/NAME]")
@click.option("--version", type=VERSION, help="As of this version; by default the newest.")
@click.option(
    "--format", "form", type=click.Choice(["text", "yaml", "json"]), default="text", help="yaml can be applied again."
)
@MESH
def get(policy: str | None, version: int | None, form: str, mesh: str | None) -> int:
    """Show a policy as it was written, or list all of them."""
    return asyncio.run(_get(policy, version=version, form=form, mesh=mesh))


@command.command()
@click.argument("paths", nargs=-1, metavar="[FILE_OR_DIR...]", type=click.Path(path_type=Path))
@click.option("--from", "old", type=VERSION, help="Instead of files: from this version ...")
@click.option("--to", "new", type=VERSION, help="... to this one; by default the newest.")
@FORMAT
@MESH
def diff(paths: tuple[Path, ...], old: int | None, new: int | None, form: str, mesh: str | None) -> int:
    """Show what `apply` of these files and folders would change, or what differs between two versions."""
    if bool(paths) == (old is not None) or (paths and new is not None):
        raise UsageError(
            "either files or versions are compared", next_step="name files, or --from VERSION and perhaps --to VERSION"
        )
    return asyncio.run(_diff(paths, old, new, form=form, mesh=mesh))


@command.command()
@click.argument("version", type=VERSION)
@NOTE
@WAIT
@MESH
def rollback(version: int, note: str, wait: bool, mesh: str | None) -> int:
    """Make a new version in which everything is as it was in VERSION."""
    return asyncio.run(_rollback(version, note=note, wait=wait, mesh=mesh))


@command.command()
@click.argument("version", type=VERSION, required=False)
@WAIT
@FORMAT
@MESH
def status(version: int | None, wait: bool, form: str, mesh: str | None) -> int:
    """Show what became of VERSION; without one, how each security server stands.

    Exit code 1 if a security server has rejected it.
    """
    return asyncio.run(_status(version, wait=wait, form=form, mesh=mesh))


@command.command()
@click.argument("policy", required=False, metavar="[KIND/NAME]")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many entries.")
@FORMAT
@MESH
def history(policy: str | None, limit: int, form: str, mesh: str | None) -> int:
    """Show who changed what, when and why, newest first; of one policy, if it is named."""
    return asyncio.run(_history(policy, limit=limit, form=form, mesh=mesh))


@command.command()
@click.argument("policy", metavar="KIND/NAME")
@NOTE
@WAIT
@MESH
def delete(policy: str, note: str, wait: bool, mesh: str | None) -> int:
    """Remove a policy."""
    return asyncio.run(_delete(policy, note=note, wait=wait, mesh=mesh))


# ---------------------------------------------------------------------- changes


async def _apply(
    paths: tuple[Path, ...], *, dry_run: bool, since: int | None, note: str, wait: bool, mesh: str | None
) -> int:
    documents = read_policy_files(paths)
    async with operating(mesh) as operator:
        now = await operator.client.documents()
        writes = intended(documents, now, since=since)
        try:
            if dry_run:
                judgement = await operator.client.validate(writes)
                if judgement.problems:
                    raise InvalidPolicies(judgement.problems)
                click.echo(policy_text.differences(writes, now))
                click.echo(f"version {judgement.version} stays: this was a dry run")
                return ExitCode.CONFORMANT
            committed = await operator.client.commit(writes, note=note)
        except InvalidPolicies as invalid:
            raise InvalidPolicies(located(invalid.problems, documents)) from None
        click.echo(policy_text.differences(writes, now))
        return await _committed(operator, committed, wait=wait)


async def _rollback(version: int, *, note: str, wait: bool, mesh: str | None) -> int:
    async with operating(mesh) as operator:
        committed = await operator.client.roll_back(version, note=note)
        for key, change in committed.changes.items():
            click.echo(f"{name_of(key)} {change}")
        return await _committed(operator, committed, wait=wait)


async def _delete(policy: str, *, note: str, wait: bool, mesh: str | None) -> int:
    key = key_named(policy)
    async with operating(mesh) as operator:
        known = (await operator.client.documents()).get(key)
        if known is None:
            raise _absent(policy)
        committed = await operator.client.delete(key, expected=known.changed_in, note=note)
        click.echo(policy_text.differences([Write(key, None)], {key: known}))
        return await _committed(operator, committed, wait=wait)


async def _committed(operator: Operator, committed: Committed, *, wait: bool) -> int:
    click.echo(f"version {committed.version}" + ("" if committed.changed else ", as before: nothing was changed"))
    if not wait:
        return ExitCode.CONFORMANT
    found = await operator.arrived(committed.version)
    click.echo(policy_text.reports(found.proxies))
    return _judged(found.state)


# ---------------------------------------------------------------------- looking


async def _get(policy: str | None, *, version: int | None, form: str, mesh: str | None) -> int:
    key = key_named(policy) if policy else None
    async with operating(mesh) as operator:
        found = await operator.client.documents(version)
    if policy and key not in found:
        raise _absent(policy if version is None else f"{policy} in version {version}")
    if key:
        found = {key: found[key]}
    if form == "json":
        documents = [each.document for each in found.values()]
        click.echo(policy_text.as_json(documents[0] if key else documents))
    elif form == "yaml" or key:
        click.echo(policy_text.as_yaml([each.document for each in found.values()]), nl=False)
    else:
        click.echo(policy_text.listing(found))
    return ExitCode.CONFORMANT


async def _diff(paths: tuple[Path, ...], old: int | None, new: int | None, *, form: str, mesh: str | None) -> int:
    documents = read_policy_files(paths) if paths else []
    async with operating(mesh) as operator:
        if old is not None:
            until = await operator.client.version() if new is None else new
            changes = await operator.client.diff(old, until)
        else:
            now = await operator.client.documents()
            changes = policy_text.changes(intended(documents, now), now)
    click.echo(policy_text.differences_as_json(changes) if form == "json" else policy_text.differences_of(changes))
    return ExitCode.CONFORMANT


async def _status(version: int | None, *, wait: bool, form: str, mesh: str | None) -> int:
    async with operating(mesh) as operator:
        asked = await operator.client.version() if version is None else version
        found = await operator.arrived(asked) if wait else await operator.client.status(asked)
        reports = found.proxies if version is not None else await operator.client.proxies()
    if form == "json":
        click.echo(policy_text.reports_as_json(asked, found.state, reports))
    else:
        click.echo(f"version {asked}: {policy_text.STATES[found.state]}")
        click.echo(policy_text.reports(reports))
    return _judged(*(each.state for each in reports))


async def _history(policy: str | None, *, limit: int, form: str, mesh: str | None) -> int:
    key = key_named(policy) if policy else None
    async with operating(mesh) as operator:
        entries = await operator.client.history(key=key, limit=limit)
    click.echo(policy_text.as_json(entries) if form == "json" else policy_text.entries(entries))
    return ExitCode.CONFORMANT


def _judged(*states: str) -> int:
    return ExitCode.NOT_CONFORMANT if ProxyState.REJECTED in states else ExitCode.CONFORMANT


def _absent(policy: str) -> UsageError:
    return UsageError(f"there is no policy {policy}", next_step="`meshmark policy get` lists what is there")
