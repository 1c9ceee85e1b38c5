"""`meshmark certify`: the pytest plugin, with progress instead of dots."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from types import FrameType

import click

from conformance.cli.progress import Progress
from conformance.cli.trust_option import trust_option
from conformance.controlplane.garbage import collect_seldom
from conformance.model.errors import SuiteFault, UsageError
from conformance.plugin.loading import load_run
from conformance.plugin.options import DEFAULT_OUT, RunOptions, RuntimeChoice, selected_checks
from conformance.report.formats import DEFAULT_FORMATS, FORMATS
from conformance.report.language import DEFAULT_LANGUAGE, languages

__all__ = ["command"]


@click.command(name="certify")
@click.argument("runfile", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=DEFAULT_OUT, show_default=True, help="Folder for the reports."
)
@click.option("--only", metavar="ID,...", help="Run these checks only. The outcome is then incomplete at best.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of everything generated.")
@click.option("--envoy", metavar="VERSION|PATH|IMAGE", help="Another Envoy than the embedded one.")
@click.option("--runtime", type=click.Choice(["auto", "process", "container"]), help="How Envoy is run.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(sorted(FORMATS)),
    help=f"Report formats; by default {', '.join(DEFAULT_FORMATS)}.",
)
@click.option(
    "--language",
    type=click.Choice(languages()),
    default=DEFAULT_LANGUAGE,
    show_default=True,
    help="Language of the reports and of the summary.",
)
@trust_option(required=False)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Meshes at once, each with the subject started anew; not for a subject that somebody else runs.",
)
def command(
    runfile: Path,
    out: Path,
    only: str | None,
    seed: int | None,
    envoy: str | None,
    runtime: RuntimeChoice | None,
    formats: tuple[str, ...],
    language: str,
    trust: tuple[Path, ...],
    workers: int,
) -> int:
    """Certify the subject of RUNFILE and write the reports.

    The exit code is the outcome: 0 conformant, 1 not conformant, 4 incomplete.
    """
    options = RunOptions(
        out=out,
        only=selected_checks(only),
        seed=seed,
        envoy=envoy,
        runtime=runtime,
        formats=formats or RunOptions().formats,
        language=language,
        trust=trust,
        workers=workers,
    )
    return run_pytest(runfile, options)


def run_pytest(runfile: Path, options: RunOptions) -> int:
    """Run the plugin in this process, without the user's own pytest plugins and settings."""
    loaded = load_run(runfile, options)
    if "[" in str(runfile) or "::" in str(runfile):
        raise UsageError(
            "pytest takes `[` and `::` in a path for something else",
            where=str(runfile),
            next_step="rename the file, or call meshmark from its folder",
        )
    _refuse_unwritable(options.out, options.formats)
    # A plugin that happens to be installed must not change a verdict, nor cost seconds.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    import pytest  # noqa: PLC0415

    # What is loaded by now stays to the end.
    gc.freeze()
    collect_seldom()

    signal.signal(signal.SIGTERM, _interrupt)
    arguments = [
        str(runfile),
        f"--rootdir={runfile.resolve().parent}",
        *("-c", os.devnull),
        *("-p", "conformance.plugin.entry"),
        *("-p", "no:terminal"),
        *("-p", "no:cacheprovider"),
        *("-p", "no:logging"),
        # They look for what tests leave behind, by collecting all garbage five times; nobody would be told.
        *("-p", "no:unraisableexception"),
        *("-p", "no:threadexception"),
        f"--meshmark-out={options.out}",
        *([f"--meshmark-only={','.join(sorted(options.only))}"] if options.only else []),
        *([f"--meshmark-seed={options.seed}"] if options.seed is not None else []),
        *([f"--meshmark-envoy={options.envoy}"] if options.envoy else []),
        *([f"--meshmark-runtime={options.runtime}"] if options.runtime else []),
        *(f"--meshmark-format={name}" for name in options.formats),
        f"--meshmark-language={options.language}",
        *(f"--meshmark-trust={path}" for path in options.trust),
        f"--meshmark-workers={options.workers}",
    ]
    progress = Progress(loaded)
    code = pytest.main(arguments, plugins=[progress])
    progress.finish()
    if progress.exit_code is not None:
        return progress.exit_code
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SuiteFault("pytest did not take the run file", next_step="report this as a defect of meshmark")
    return int(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """A CI service that cancels a job gets the record so far, as after Ctrl-C."""
    raise KeyboardInterrupt


def _refuse_unwritable(folder: Path, formats: tuple[str, ...]) -> None:
    """Better now than after the run."""
    from conformance.report.formats import ensure_available, ensure_writable  # noqa: PLC0415

    if formats != DEFAULT_FORMATS:
        ensure_available(formats)
    ensure_writable(folder)
