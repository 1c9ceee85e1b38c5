"""A building block that is a container image, certified from its run file."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from workplace import Workplace

from conformance.system.engine import ContainerImage

PATIENCE_S = 300.0
"""Containers take their time: only a hang reaches it."""
CONTRACT = """\
openapi: 3.0.3
info: {title: Health, version: "1"}
servers: [{url: "http://127.0.0.1"}]
paths:
  /health:
    get:
      responses:
        "200":
          description: well
          content:
            application/json:
              schema: {type: object, required: [status], properties: {status: {type: string}}}
"""
TYPE = "type.googleapis.com/envoy.extensions.filters"
SERVER = {
    "static_resources": {
        "listeners": [
            {
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}},
                "filter_chains": [
                    {
                        "filters": [
                            {
                                "name": "http",
                                "typed_config": {
                                    "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
                                    "stat_prefix": "health",
                                    "route_config": {
                                        "virtual_hosts": [
                                            {
                                                "name": "health",
                                                "domains": ["*"],
                                                "routes": [
                                                    {
                                                        "match": {"path": "/health"},
                                                        "response_headers_to_add": [
                                                            {
                                                                "header": {
                                                                    "key": "content-type",
                                                                    "value": "application/json",
                                                                },
                                                                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                                                            }
                                                        ],
                                                        "direct_response": {
                                                            "status": 200,
                                                            "body": {"inline_string": '{"status": "well"}'},
                                                        },
                                                    }
                                                ],
                                            }
                                        ]
                                    },
                                    "http_filters": [
                                        {"name": "router", "typed_config": {"@type": f"{TYPE}.http.router.v3.Router"}}
                                    ],
                                },
                            }
                        ]
                    }
                ],
            }
        ]
    }
}


@pytest.fixture
def health(engine: Any, image: ContainerImage) -> Iterator[Callable[[str], str]]:
    """A small building block as an image: the HTTP server of the machine's Envoy, with an answer of its own.

    It is made to listen at an address, and gives the name of its image.
    """
    made = list[str]()

    def build(address: str) -> str:
        files = {
            "Dockerfile": f"FROM {image.name}\nCOPY server.json /server.json\n"
            'ENTRYPOINT ["/usr/local/bin/envoy", "--config-path", "/server.json", "--disable-hot-restart"]\n',
            "server.json": json.dumps(SERVER).replace("0.0.0.0", address),
        }
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as packed:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text), 0o644
                packed.addfile(entry, io.BytesIO(text.encode()))
        context.seek(0)
        # Two workers may be at it at the same time.
        made.append(f"meshmark-test/health:{uuid.uuid4().hex}")
        engine.images.build(fileobj=context, custom_context=True, tag=made[-1], rm=True)
        return made[-1]

    yield build
    for name in made:
        engine.images.remove(name, force=True)


@pytest.mark.usefixtures("network_namespaces")
@pytest.mark.parametrize(("address", "verdict"), [("127.0.0.1", "pass"), ("0.0.0.0", "fail")])
def test_an_application_and_its_sidecar_are_two_containers_of_a_pod(
    workplace: Workplace, health: Callable[[str], str], address: str, verdict: str
):
    workplace.write("health.yaml", CONTRACT)
    subject = {"contracts": ["health.yaml"], "command": None, "image": health(address), "ready": "/health"}
    more = {"topology": "sidecar", "features": ["sidecar"], "runtime": "container"}
    file = workplace.run_file("health", subject=subject, **more)
    started = workplace.start("certify", file, "--only", "MTLS-001,API-002,TOPOLOGY-003")
    finished = workplace.finish(started, PATIENCE_S)
    found = {each["check"]: each["verdict"] for each in workplace.record()["results"]}
    # Whoever listens on all interfaces of the pod can be reached past its sidecar.
    expected = {"MTLS-001": "pass", "API-002": "pass", "TOPOLOGY-003": verdict}
    assert {each: found[each] for each in expected} == expected, finished.said
    assert workplace.left() == []


@pytest.mark.parametrize("runtime", ["process", "container"])
def test_an_image_is_started_certified_and_stopped(workplace: Workplace, health: Callable[[str], str], runtime: str):
    workplace.write("health.yaml", CONTRACT)
    file = workplace.run_file(
        "health",
        subject={"contracts": ["health.yaml"], "command": None, "image": health("0.0.0.0"), "ready": "/health"},
    )
    finished = workplace.meshmark("certify", file, "--runtime", runtime, "--only", "MTLS-001,API-001,API-002")
    verdicts = {each["check"]: each["verdict"] for each in workplace.record()["results"]}
    assert {verdicts[each] for each in ("MTLS-001", "API-001", "API-002")} == {"pass"}, finished.said
    assert finished.code == 4  # the others were not run
