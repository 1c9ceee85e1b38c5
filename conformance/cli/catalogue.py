"""`meshmark catalogue`: what is required, what checks it, and what proves the checks."""

from __future__ import annotations

import json
from typing import Any

import click

from conformance.cli.tables import markdown_table

__all__ = ["catalogue_json", "command"]


@click.command(name="catalogue")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="For people, for programs, or for pages.",
)
@click.option("--profile", default="mesh", show_default=True, help="Whose levels are shown.")
def command(form: str, profile: str) -> int:
    """List requirements, the checks that prove them, and the faults that prove the checks.

    A requirement without a check is listed with the reason why.
    """
    content = catalogue_json(profile)
    if form == "json":
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif form == "markdown":
        click.echo(_markdown(content), nl=False)
    else:
        _table(content)
    return 0


def catalogue_json(profile_id: str) -> dict[str, Any]:
    """The catalogue as data; levels are those of a profile.

    Raises:
        UsageError: there is no such profile.

    """
    from conformance import __version__  # noqa: PLC0415
    from conformance.checks.catalogue import complete_catalogue  # noqa: PLC0415
    from conformance.faults import complete_faults  # noqa: PLC0415
    from conformance.model.catalogue_facts import catalogue_facts, digest_of_facts  # noqa: PLC0415
    from conformance.model.errors import UsageError  # noqa: PLC0415

    catalogue, faults = complete_catalogue(), complete_faults()
    if profile_id not in catalogue.profiles:
        raise UsageError(f"unknown profile {profile_id}", next_step=f"use one of: {', '.join(catalogue.profiles)}")
    profile = catalogue.profiles[profile_id]
    provers: dict[str, list[str]] = {}
    for check in catalogue.checks:
        for requirement in check.proves:
            provers.setdefault(requirement, []).append(check.id)
    requirements = []
    for each in catalogue.requirements.values():
        level = profile.level_of(each)
        requirements.append(
            {
                "id": each.id,
                "level": level.value if level else None,
                "text": each.text,
                "sources": [source.id for source in each.sources],
                "features": [feature.value for feature in each.features],
                "profiles": {name: weight.value for name, weight in each.profiles.items()},
                "checks": provers.get(each.id, []),
                "unchecked": each.unchecked if each.id not in provers else None,
            }
        )
    checks = []
    for check in catalogue.checks:
        check_level = catalogue.level_of(check, profile)
        checks.append(
            {
                "id": check.id,
                "title": check.title,
                "level": check_level.value if check_level else None,
                "proves": list(check.proves),
                "needs": sorted(feature.value for feature in check.needs),
                "area": check.area,
                "topologies": [topology.value for topology in check.topologies],
                "separate_hosts": check.separate_hosts,
                "description": check.description,
                "evidence": list(check.evidence),
                "fails": dict(check.fails),
                "remedy": check.remedy,
                "inconclusive": dict(check.inconclusive),
                "faults": [fault.id for fault in faults.values() if check.id in fault.caught_by],
            }
        )
    facts = catalogue_facts(catalogue)
    suite = {"name": "meshmark", "version": __version__, "catalogue_digest": digest_of_facts(facts)}
    return {
        "suite": suite,
        "profile": profile_id,
        "profiles": facts["profiles"],
        "requirements": requirements,
        "checks": checks,
    }


def _proof(requirement: dict[str, Any]) -> str:
    return ", ".join(requirement["checks"]) or f"no check: {requirement['unchecked'] or 'not yet written'}"


def _markdown(content: dict[str, Any]) -> str:
    requirements = [
        [each["id"], each["level"] or "-", each["text"], "; ".join(each["sources"]), _proof(each)]
        for each in content["requirements"]
    ]
    checks = [
        [
            each["id"],
            each["level"] or "-",
            each["title"],
            each["description"].partition("\n\n")[0],
            each["remedy"],
            ", ".join(each["proves"]),
            ", ".join(each["faults"]),
        ]
        for each in content["checks"]
    ]
    head = ["check", "level", "what holds when it passes", "why it matters", "where to look when it fails", "proves"]
    return (
        f"# Catalogue\n\nLevels are those of profile `{content['profile']}`.\n\n## Checks\n\n"
        + markdown_table([*head, "proven by the faults"], checks)
        + "\n## Requirements\n\n"
        + markdown_table(["requirement", "level", "text", "sources", "checked by"], requirements)
    )


def _table(content: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False)
    checks = Table(title="Checks", show_lines=False)
    for head in ("check", "level", "what holds when it passes", "proves", "faults"):
        checks.add_column(head)
    for each in content["checks"]:
        checks.add_row(
            each["id"], each["level"] or "-", each["title"], ", ".join(each["proves"]), str(len(each["faults"]))
        )
    requirements = Table(title=f"Requirements of profile {content['profile']}")
    for head in ("requirement", "level", "text", "checked by"):
        requirements.add_column(head)
    for each in content["requirements"]:
        requirements.add_row(each["id"], each["level"] or "-", each["text"], _proof(each))
    console.print(checks)
    console.print(requirements)
    proven = sum(1 for each in content["requirements"] if each["checks"])
    console.print(f"{len(content['checks'])} checks prove {proven} of {len(content['requirements'])} requirements")
