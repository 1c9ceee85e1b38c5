"""The reference is certified in each topology, on hosts of its own, with every check that applies there."""

from __future__ import annotations

import json

import pytest
import yaml
from workplace import FIXTURES, Workplace

from conformance.checks.catalogue import complete_catalogue
from conformance.model.policies import Topology

REFERENCES = {
    "citizen-id-inter-proxy": Topology.INTER_PROXY,
    "citizen-id-sidecar": Topology.SIDECAR,
    "citizen-id-external-gateway": Topology.EXTERNAL_GATEWAY,
}
PATIENCE_S = 600.0
"""All checks, on whatever machine: only a hang reaches it."""


@pytest.mark.usefixtures("network_namespaces")
@pytest.mark.parametrize("name", REFERENCES)
def test_the_reference_is_conformant_where_it_has_hosts_of_its_own(name, workplace: Workplace):
    started = workplace.start("certify", FIXTURES / f"{name}.meshmark.yaml", "--out", "out")
    finished = workplace.finish(started, PATIENCE_S)
    assert finished.code == 0, finished.said
    record = json.loads((workplace.folder / "out" / "record.json").read_text())
    assert record["outcome"] == "conformant"
    assert record["topology"] == REFERENCES[name]
    assert record["environment"]["hosts"] == "separate"
    judged = {each["check"] for each in record["results"] if each["verdict"] == "pass"}
    for check in complete_catalogue().checks:
        if check.separate_hosts and REFERENCES[name] in check.topologies:
            assert check.id in judged
    assert workplace.left() == []


@pytest.mark.usefixtures("network_namespaces")
def test_a_chain_of_building_blocks_works_beside_sidecars(workplace: Workplace):
    described = yaml.safe_load((FIXTURES / "birth-registry.meshmark.yaml").read_text())
    described |= {"topology": "sidecar", "features": ["sidecar"]}
    workplace.write("chain.meshmark.yaml", yaml.safe_dump(described))
    only = "API-002,TOPOLOGY-003"
    started = workplace.start("certify", "chain.meshmark.yaml", "--only", only, "--out", "out")
    finished = workplace.finish(started, PATIENCE_S)
    assert finished.code == 4, finished.said  # only some checks were asked for
    record = json.loads((workplace.folder / "out" / "record.json").read_text())
    passed = {each["check"] for each in record["results"] if each["verdict"] == "pass"}
    assert passed == set(only.split(",")), finished.said


@pytest.mark.usefixtures("network_namespaces", "image")
@pytest.mark.parametrize("name", REFERENCES)
def test_security_servers_are_containers_in_pods_where_that_is_asked_for(name, workplace: Workplace):
    checks = [check for check in complete_catalogue().checks if check.separate_hosts]
    wanted = [check.id for check in checks if REFERENCES[name] in check.topologies]
    only = ",".join(["MTLS-001", "POLICY-001", "ROUTE-001", "API-002", *wanted])
    run_file = FIXTURES / f"{name}.meshmark.yaml"
    started = workplace.start("certify", run_file, "--runtime", "container", "--only", only, "--out", "out")
    finished = workplace.finish(started, PATIENCE_S)
    assert finished.code == 4, finished.said  # only some checks were asked for
    record = json.loads((workplace.folder / "out" / "record.json").read_text())
    assert (record["environment"]["runtime"], record["environment"]["hosts"]) == ("container", "separate")
    assert {each["check"] for each in record["results"] if each["verdict"] == "pass"} == set(only.split(","))
    assert workplace.left() == []


def test_without_hosts_of_their_own_what_is_judged_between_them_is_not_applicable(workplace: Workplace):
    finished = workplace.meshmark(
        "certify", workplace.run_file(), "--only", "TOPOLOGY-006,TOPOLOGY-007", "--out", "out"
    )
    assert finished.code == 4
    record = json.loads((workplace.folder / "out" / "record.json").read_text())
    verdicts = {each["check"]: each["verdict"] for each in record["results"]}
    assert verdicts["TOPOLOGY-006"] == "pass"
    assert verdicts["TOPOLOGY-007"] == "not-applicable"
    (planned,) = [each for each in record["plan"] if each["check"] == "TOPOLOGY-007"]
    assert "hosts: separate" in planned["reason"]
