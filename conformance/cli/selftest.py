"""`meshmark selftest`: the suite proves itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conformance.cli.tables import markdown_table
from conformance.model.errors import ExitCode

if TYPE_CHECKING:
    from conformance.plugin.kill_matrix import Row

__all__ = ["command"]


@click.command(name="selftest")
@click.option("--area", "areas", multiple=True, metavar="AREA", help="Only the faults of this area; may be repeated.")
@click.option("--fault", "faults", multiple=True, metavar="ID", help="Only this fault; may be repeated.")
@click.option("--each-check", is_flag=True, help="Only as many faults as turn every check red once.")
@click.option("--list", "only_list", is_flag=True, help="List the faults and what must catch them, and run nothing.")
@click.option("--workers", type=click.IntRange(1, 64), help="Meshes at once; by default one more than cores.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for kill-matrix.json and kill-matrix.md.")
def command(
    areas: tuple[str, ...],
    faults: tuple[str, ...],
    each_check: bool,
    only_list: bool,
    workers: int | None,
    out: Path | None,
) -> int:
    """Run every seeded fault against every check.

    The clean reference must pass everything; each fault must be caught by exactly the checks that it names, for the
    reason that it names; every reason that a check can give must be reached. Exit code 0 if so, else 1.
    """
    from conformance.checks.catalogue import complete_catalogue  # noqa: PLC0415
    from conformance.faults import complete_faults  # noqa: PLC0415
    from conformance.plugin.kill_matrix import (  # noqa: PLC0415
        choose_faults,
        each_check_once,
        matrix_json,
        run_rows,
        unreached_reasons,
    )

    chosen = each_check_once() if each_check else choose_faults(areas, faults)
    if only_list:
        known = complete_faults()
        for id in filter(known.__contains__, chosen):  # noqa: A001 -- the word that everybody uses
            caught = ", ".join(f"{check} ({each.reason})" for check, each in known[id].caught_by.items())
            click.echo(f"{id}: {known[id].defect}\n    caught by {caught}")
        return ExitCode.CONFORMANT
    rows = []
    for row in run_rows(chosen, workers=workers):
        rows.append(row)
        _show(row, f"{len(rows):>3} of {len(chosen)}")
    whole = not areas and not faults and not each_check
    unreached = unreached_reasons(complete_catalogue(), rows) if whole else []
    for reason in unreached:
        click.echo(f"✘ no fault reaches {reason}")
    skipped = sum(bool(row.skipped) for row in rows)
    missed = sum(not row.caught for row in rows) - skipped
    left_out = f", {skipped} skipped" if skipped else ""
    click.echo(
        f"{len(rows) - missed - skipped} of {len(rows)} rows as declared{left_out}, {len(unreached)} reasons unreached"
    )
    if out is not None:
        published = matrix_json(rows)
        out.mkdir(parents=True, exist_ok=True)
        (out / "kill-matrix.json").write_text(json.dumps(published, indent=2, ensure_ascii=False) + "\n", "utf-8")
        lines = [
            [
                each["id"],
                each["defect"],
                _names(each["observed"]),
                "yes" if each["caught"] else f"skipped: {each['skipped']}" if "skipped" in each else "NO",
            ]
            for each in published["faults"]
        ]
        (out / "kill-matrix.md").write_text(
            "# Kill matrix\n\nEvery seeded fault, and the checks that caught it.\n\n"
            + markdown_table(["fault", "defect", "turned red", "as declared"], lines),
            "utf-8",
        )
    return ExitCode.NOT_CONFORMANT if missed or unreached else ExitCode.CONFORMANT


def _show(row: Row, place: str) -> None:
    mark = "-" if row.skipped else "✔" if row.caught else "✘"
    click.echo(f"{mark} {place}  {row.fault}")
    if row.skipped:
        click.echo(f"      skipped: {row.skipped}")
    elif not row.caught:
        for name, side in (("expected", row.expected), ("observed", row.observed)):
            for each in side:
                click.echo(f"      {name}: {each.check} {each.verdict.value} {each.reason} {each.seen[:300]}")
        if row.trouble:
            click.echo(f"      trouble: {row.trouble}")


def _names(observed: list[dict[str, str]]) -> str:
    return ", ".join(f"{each['check']} ({each['verdict']}: {each['reason']})" for each in observed) or "nothing"
