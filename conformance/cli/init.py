"""`meshmark init`: a commented run file to start from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import click

from conformance.model.errors import UsageError

__all__ = ["command"]

TEMPLATE = """\
# What is certified, and how. `meshmark doctor {file}` checks this file before a run,
# `meshmark certify {file}` runs it. Every key is described in the README.
subject:
  role: building-block
  name: {name}
  vendor: "CHANGE ME"       # who answers for it; stands in the report
  version: {version}
  contracts:                # OpenAPI 3.x documents, relative to this file
{contracts}
  # How it is reached: exactly one of url, command, image.
  url: {url}
  # command: ["./start-server", "--port", "{{port}}"]   # started by meshmark; listens on 127.0.0.1:{{port}}
  # image: registry.example/{name}:1.0
  # container_port: 8080
  # With command or image: where the contract's paths begin.
  # base_path: {base_path}
  # {{mesh}} is where it reaches other services, as {{mesh}}/NAME/...
  # environment: {{OTHER_SERVICE_URL: "{{mesh}}/other-service"}}
  # calls: [other-service]
  ready: /                  # a path that answers below 500 once it is ready
  # Sent with every call, such as a test account's; never recorded.
  # headers: {{authorization: "Bearer ..."}}

profile: mesh               # or govstack: `meshmark catalogue --profile govstack` shows the levels
# features: []              # optional features that it claims, which are then judged
# runtime: auto             # process, container, or auto

# companions:               # other building blocks that it calls through the mesh
#   - name: other-service
#     command: ["./other-service", "--port", "{{port}}"]

# generated_input:
#   examples: 20            # generated calls for each operation and phase
#   skip: []                # operations never to be called with generated input

# waivers:                  # known fails that somebody answers for; they stay visible in every report
#   - check: RETRY-001
#     reason: "why it is tolerable"
#     owner: "who answers for it"
#     expires: "2030-01-31"
"""


@click.command(name="init")
@click.argument("contracts", nargs=-1, required=True, metavar="CONTRACT...", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the building block; by default from the first contract's title.")
def command(contracts: tuple[Path, ...], name: str | None) -> int:
    """Write NAME.meshmark.yaml for a building block with these OpenAPI documents into the current folder."""
    from conformance.openapi.contract import load_contract  # noqa: PLC0415

    loaded = [load_contract(contract) for contract in contracts]
    chosen = name or _service_name(loaded[0].title or contracts[0].stem)
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", chosen):
        raise UsageError(
            f"{chosen!r} cannot be the name of a service",
            where="--name",
            next_step="use lower-case letters, digits and hyphens, beginning with a letter",
        )
    base_path = quote(loaded[0].base_path, safe="/%!$&'()*+,;=:@")
    file = Path(f"{chosen}.meshmark.yaml")
    text = TEMPLATE.format(
        file=file,
        name=chosen,
        version=json.dumps(loaded[0].version or "0"),
        contracts="\n".join(f"    - {json.dumps(str(contract), ensure_ascii=False)}" for contract in contracts),
        url=f"http://127.0.0.1:8080{base_path}",
        base_path=base_path or "/api",
    )
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise UsageError(
            "there is such a run file already", where=str(file), next_step="remove it, or choose another --name"
        ) from None
    except OSError as problem:
        raise UsageError(
            f"the run file cannot be written: {problem.strerror}", where=str(file), next_step="use a writable folder"
        ) from problem
    click.echo(f"{file} is written; put in vendor, version and how the building block is reached, then:")
    click.echo(f"  meshmark doctor {file}\n  meshmark certify {file}")
    for contract, path in zip(loaded, contracts, strict=True):
        errors = sum(problem.severity == "error" for problem in contract.problems)
        if errors:
            click.echo(f"note: {path} has {errors} problems; the check API-001 will list them")
    return 0


def _service_name(title: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return re.sub(r"^[^a-z]+", "", name)[:63].rstrip("-") or "building-block"
