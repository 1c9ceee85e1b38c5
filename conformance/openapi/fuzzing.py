"""Generated requests, valid and invalid, for every operation of a contract: schemathesis in a process of its own.

Invariants: the run ends within its deadline, whatever the subject does, and nothing about the subject is left then; the
same seed sends the same requests (no database of examples, no learning from answers); nothing is fetched; the runner's
environment (proxies, `.netrc`, certificate bundles) has no influence; the caller's credentials are in no report and in
no argument of a process.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.openapi.contract import Contract
from conformance.openapi.fuzz_report import FuzzError, FuzzReport, read_report
from conformance.openapi.tool_document import tool_document
from conformance.system.folders import cache_folder
from conformance.system.guard import Guard
from conformance.system.namespaces import NetworkNamespace
from conformance.system.processes import ChildProcess

__all__ = ["ClientTls", "FuzzSettings", "fuzz"]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
LEARNING_PHASES = ("examples", "coverage", "fuzzing")
# Envoy answers 400 to QUERY before any building block sees it: such a request says nothing about the subject.
UNEXPECTED_METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE")
LARGEST_BODY = 8 * 1024 * 1024
RECORDED_BODY = 4096
STOP_GRACE_S = 1.0
EVENTS = "events.ndjson"


@dataclass(frozen=True)
class ClientTls:
    """Mutual TLS towards the subject: PEM files of the client's chain and key, and of the authorities that it trusts.

    The server's certificate must bear `server_name`; where that is None, the host of the address.
    """

    certificate_chain: Path
    private_key: Path
    authorities: Path
    server_name: str | None = None


@dataclass(frozen=True)
class FuzzSettings:
    """How much is tried, and for how long.

    Attributes:
        seed: of the generator.
        max_examples: generated requests for each operation in the phase `fuzzing`.
        phases: out of `examples` (those of the contract), `coverage` (every boundary of every schema), `fuzzing`
            (random) and `stateful` (sequences along links).
        request_timeout_s: for each answer: until it begins, between its pieces, and for its whole body.
        deadline_s: for the whole run.
        headers: sent with each request, for instance credentials.
        tls: mutual TLS; None for plain HTTP.
        only: keys of the operations to try; None for all.
        origin_header: a header, in lower case, that a proxy on the way adds to the subject's own answers and to no
            other; an answer without it is not the subject's. None: nothing is on the way.
        come_from: the network that the requests come from; the runner's own by default.

    """

    seed: int = 0
    max_examples: int = 20
    phases: tuple[str, ...] = ("examples", "coverage", "fuzzing")
    request_timeout_s: float = 5.0
    deadline_s: float = 60.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ClientTls | None = None
    only: Collection[str] | None = None
    origin_header: str | None = None
    come_from: NetworkNamespace | None = None


async def fuzz(
    contract: Contract, base_url: str, *, folder: Path, guard: Guard, settings: FuzzSettings = FuzzSettings()
) -> FuzzReport:
    """Send generated requests and judge the answers by the contract.

    Args:
        contract: the subject's.
        base_url: where the paths of its operations begin.
        folder: a private folder of the run; what is written there is deleted again.
        guard: ends the process should this runner die.
        settings: how much, and for how long.

    Raises:
        EnvironmentFault: the process cannot be started.

    """
    left_out = tuple(_left_out(contract, settings.only))
    if len(left_out) == len(contract.operations):
        return FuzzReport(0, (), (), (), left_out, settings.seed, "complete")
    own_folder = Path(tempfile.mkdtemp(prefix="fuzzing-", dir=folder))
    try:
        arguments = _prepare(own_folder, contract, base_url, settings, [key for key, _ in left_out])
        timed_out, code, output = await _run(arguments, own_folder, guard, settings)
        report = await asyncio.to_thread(
            read_report,
            own_folder / EVENTS,
            seed=settings.seed,
            timed_out=timed_out,
            left_out=left_out,
            base_url=base_url,
            headers=settings.headers,
            origin_header=settings.origin_header,
        )
    finally:
        shutil.rmtree(own_folder, ignore_errors=True)
    if report.ended == "broken-off" and not report.errors:
        return replace(report, errors=(FuzzError(None, f"the generator ended with code {code}: {output}"),))
    return report


def _left_out(contract: Contract, only: Collection[str] | None) -> Iterator[tuple[str, str]]:
    for operation in contract.operations:
        if only is not None and operation.key not in only:
            yield operation.key, "not asked for"
        elif operation.obstacle:
            yield operation.key, operation.obstacle


def _prepare(
    folder: Path, contract: Contract, base_url: str, settings: FuzzSettings, left_out: Collection[str]
) -> list[str]:
    """Write the document and the configuration; return the program's arguments."""
    without = [(method, path) for method, _, path in (key.partition(" ") for key in left_out)]
    document = tool_document(contract.document, base_url=base_url, without=without)
    (folder / "contract.json").write_text(json.dumps(document))
    configuration = folder / "schemathesis.toml"
    # It may hold credentials; the folder is private already.
    configuration.touch(mode=0o600)
    configuration.write_text("".join(_toml(_configuration(base_url, settings))))
    server_name = (settings.tls.server_name if settings.tls else None) or ""
    return [
        *(sys.executable, "-P", "-m", "conformance.openapi.fuzz_process"),
        *(str(LARGEST_BODY), str(settings.request_timeout_s), server_name),
        *("--config-file", str(configuration), "--no-color", "run", str(folder / "contract.json")),
        *("--checks", ",".join(CHECKS), "--phases", ",".join(settings.phases)),
        *("--report", "ndjson", "--report-ndjson-path", str(folder / EVENTS)),
    ]


def _configuration(base_url: str, settings: FuzzSettings) -> dict[str, Any]:
    tls = settings.tls
    return {
        "base-url": base_url,
        "seed": settings.seed,
        "workers": 1,
        "continue-on-failure": True,
        "max-redirects": 0,
        "request-timeout": settings.request_timeout_s,
        "request-retries": 0,
        "tls-verify": str(tls.authorities) if tls else True,
        **({"request-cert": str(tls.certificate_chain), "request-cert-key": str(tls.private_key)} if tls else {}),
        "warnings": False,
        "headers": dict(settings.headers),
        "cache": {"enabled": False},
        "output.sanitization": {"enabled": True},
        "output.truncation": {"max-recorded-payload-size": RECORDED_BODY},
        "generation": {
            "max-examples": settings.max_examples,
            "database": "none",
            "no-shrink": True,
            "with-security-parameters": False,
        },
        "phases.coverage": {"unexpected-methods": list(UNEXPECTED_METHODS)},
        **{f"phases.{phase}.extra-data-sources": {"responses": False} for phase in LEARNING_PHASES},
        "phases.fuzzing.error-feedback": {"enabled": False},
    }


def _toml(table: Mapping[str, Any]) -> Iterator[str]:
    """TOML of a table of plain values and of tables of such; JSON's strings are TOML's, apart from placeholders."""
    for key, value in table.items():
        if not isinstance(value, dict):
            yield f"{json.dumps(key)} = {_toml_value(value)}\n"
    for key, value in table.items():
        if isinstance(value, dict):
            yield f"\n[{key}]\n"
            yield from _toml(value)


def _toml_value(value: Any) -> str:  # noqa: ANN401 -- str, bool, int, float or a list of them
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    # `${NAME}` would be replaced by a variable of the environment.
    return json.dumps(value.replace("${", "$${") if isinstance(value, str) else value).replace("\x7f", "\\u007f")


async def _run(arguments: list[str], folder: Path, guard: Guard, settings: FuzzSettings) -> tuple[bool, int, str]:
    environment = {
        "HOME": str(folder),
        # Its tables of Unicode, which it needs more than a second to compute; what it draws from them is the same.
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache_folder("hypothesis")),
        "LANG": "C.UTF-8",
        "PATH": os.defpath,
        "PYTHONWARNINGS": "ignore",
    }
    child = await ChildProcess.start(
        arguments,
        name="schemathesis",
        guard=guard,
        environment=environment,
        folder=folder,
        namespace=settings.come_from,
    )
    try:
        done, _ = await asyncio.wait({child.exited}, timeout=settings.deadline_s)
    finally:
        code = await child.stop(STOP_GRACE_S)
    return not done, code, child.tail()
