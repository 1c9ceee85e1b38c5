"""Decisions are pure, so they are tried one by one: what is not plainly allowed is refused, for its own reason."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from authn_parts import BIRTHS, CLINIC, EVERYTHING, FOREIGNER, GATEWAY, MESH, OPEN, OWN, REGISTRY, SCHOOL, TRUST, change
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from conformance.authn import CALLER_HEADER, Call, Decision, Reason
from conformance.authn.deciding import decide
from conformance.authn.knowledge import Knowledge
from conformance.authn.tokens import Tokens
from conformance.model.policies import Kind, MemberId, MemberPolicy, MeshPolicy
from conformance.pki import Credential

NOW = 1_000_000.0
GOOD = Call(
    direction="inbound",
    service="births",
    server="registry",
    method="GET",
    path="/births/v1/public/a?b",
    principal=CLINIC.identity,
)
ADDRESSED = "/r1/MESH/GOV/100/births/births"


def knowledge() -> Knowledge:
    known = Knowledge()
    assert known.apply(change(1, *EVERYTHING))
    return known


def decided(call: Call, known: Knowledge | None = None) -> Decision:
    return decide(known or knowledge(), Tokens(), call, NOW)


def certificate(credential: Credential) -> str:
    return quote(credential.certificate_chain_pem.decode(), safe="")


def test_a_good_call_is_allowed_and_the_decision_says_by_what():
    assert decided(GOOD) == Decision(
        Reason.ALLOWED,
        caller=CLINIC.identity,
        client=str(CLINIC.id),
        client_header="x-road-client",
        policy=BIRTHS.version,
        store_version=1,
    )


def test_the_operation_is_named_by_its_template():
    decision = decided(replace(GOOD, path="/births/v1/births/17"))
    assert (decision.reason, decision.operation) == (Reason.ALLOWED, "GET /v1/births/{id}")


def test_a_template_does_not_allow_an_operation_that_the_contract_has_under_a_path_of_its_own():
    assert decided(replace(GOOD, path="/births/v1/births/own")).reason is Reason.OPERATION_NOT_ALLOWED
    own = replace(BIRTHS.access[1], operations=(OWN,))
    known = knowledge()
    known.apply(change(2, BIRTHS.changed(access=(own,))))
    assert decided(replace(GOOD, path="/births/v1/births/own"), known).operation == "GET /v1/births/own"
    assert decided(replace(GOOD, path="/births/v1/births/17"), known).reason is Reason.OPERATION_NOT_ALLOWED


@pytest.mark.parametrize(
    ("reason", "call"),
    [
        (Reason.QUESTION_INCOMPLETE, replace(GOOD, direction="")),
        (Reason.QUESTION_INCOMPLETE, replace(GOOD, direction="sideways")),
        (Reason.QUESTION_INCOMPLETE, replace(GOOD, service="")),
        (Reason.QUESTION_INCOMPLETE, replace(GOOD, server="")),
        (Reason.QUESTION_INCOMPLETE, replace(GOOD, method="")),
        (Reason.QUESTION_INCOMPLETE, replace(GOOD, path="")),
        (Reason.SERVER_UNKNOWN, replace(GOOD, server="nobody")),
        (Reason.SERVICE_UNKNOWN, replace(GOOD, service="nothing")),
        (Reason.NOT_PROVIDED_HERE, replace(GOOD, server="clinic")),
        (Reason.IDENTITY_MISSING, replace(GOOD, principal="")),
        (Reason.IDENTITY_MISSING, replace(GOOD, principal="CN=clinic")),
        (Reason.IDENTITY_UNKNOWN, replace(GOOD, principal="spiffe://mesh.test/clinic2")),
        (Reason.IDENTITY_UNKNOWN, replace(GOOD, principal=FOREIGNER)),
        (Reason.CALLER_NOT_ALLOWED, replace(GOOD, principal=SCHOOL.identity)),
        (Reason.METHOD_NOT_ALLOWED, replace(GOOD, service="report", path="/report/", method="PUT")),
        (Reason.PATH_NOT_ALLOWED, replace(GOOD, service="report", path="/report/v1/public")),
        (Reason.OPERATION_NOT_ALLOWED, replace(GOOD, path="/births/v1/births/17/mother")),
        (Reason.OPERATION_NOT_ALLOWED, replace(GOOD, path="/births/v1/births/..;x")),
        (Reason.PATH_OF_OTHER_SERVICE, replace(GOOD, path="/births")),
        (Reason.PATH_OF_OTHER_SERVICE, replace(GOOD, path="/birthsv1/public")),
        (Reason.PATH_OF_OTHER_SERVICE, replace(GOOD, path="/open/v1/public")),
        (Reason.PATH_OF_OTHER_SERVICE, replace(GOOD, path="?/births/v1/public")),
        (Reason.NOT_CALLED_FROM_HERE, replace(GOOD, direction="outbound", server="school")),
        (Reason.NOT_CALLED_FROM_HERE, replace(GOOD, direction="outbound", server="registry")),
        (Reason.SERVICE_UNKNOWN, replace(GOOD, direction="outbound", server="clinic", service="nothing")),
        (Reason.PATH_OF_OTHER_SERVICE, replace(GOOD, direction="outbound", server="clinic", path="/open/")),
        (Reason.NOT_PROVIDED_HERE, replace(GOOD, direction="border", principal=FOREIGNER)),
        (Reason.IDENTITY_UNKNOWN, replace(GOOD, direction="border", server="gateway")),
        (Reason.PATH_NOT_ALLOWED, replace(GOOD, direction="border", server="gateway", principal=FOREIGNER)),
        (Reason.TOKEN_MISSING, replace(GOOD, service="guarded", path="/guarded/")),
    ],
)
def test_what_is_odd_is_refused_for_its_own_reason(reason: Reason, call: Call):
    known = knowledge()
    only_report = replace(BIRTHS.access[2], caller=CLINIC.identity)
    known.apply(change(2, BIRTHS.changed(service="report", access=(only_report,))))
    assert decided(call, known).reason is reason


def test_whoever_knows_nothing_refuses():
    assert decided(GOOD, Knowledge()).reason is Reason.NO_POLICIES


def test_an_application_is_allowed_what_its_member_calls_whatever_the_rules_of_the_service_say():
    call = replace(GOOD, direction="outbound", server="clinic", path="/births/v1/secret", principal="")
    decision = decided(call)
    assert (decision.reason, decision.caller, decision.client_header) == (Reason.ALLOWED, CLINIC.identity, "")


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_an_xroad_client_names_itself_and_must_be_the_one_that_it_says(direction: str):
    server = "registry" if direction == "inbound" else "clinic"
    call = replace(GOOD, direction=direction, server=server, path=f"{ADDRESSED}/v1/public/a")
    assert decided(replace(call, headers={"x-road-client": str(CLINIC.id)})).reason is Reason.ALLOWED
    for named in ("", str(REGISTRY.id), f"{CLINIC.id},{CLINIC.id}"):
        assert decided(replace(call, headers={"x-road-client": named})).reason is Reason.CLIENT_MISNAMED
    # For an application that says nothing, its security server names the client.
    expected = Reason.CLIENT_MISNAMED if direction == "inbound" else Reason.ALLOWED
    assert decided(call).reason is expected
    elsewhere = replace(call, headers={"x-road-client": str(CLINIC.id)}, path="/r1/MESH/GOV/100/births/other/v1/public")
    assert decided(elsewhere).reason is Reason.PATH_OF_OTHER_SERVICE


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_identifiers_are_percent_encoded_on_the_wire(direction: str):
    known = knowledge()
    clinic = replace(CLINIC, id=MemberId("MESH", "COM", "Häuser 1/2"))
    known.apply(change(2, clinic, replace(REGISTRY, id=MemberId("MESH", "GOV", "a b"))))
    server = "registry" if direction == "inbound" else "clinic"
    call = replace(GOOD, direction=direction, server=server, path="/r1/MESH/GOV/a%20b/births/v1/public/a")
    decision = decided(replace(call, headers={"x-road-client": "MESH/COM/H%C3%A4user%201%2F2"}), known)
    assert (decision.reason, decision.client) == (Reason.ALLOWED, "MESH/COM/H%C3%A4user%201%2F2")
    assert (
        decided(replace(call, headers={"x-road-client": "MESH/COM/Häuser 1/2"}), known).reason is Reason.CLIENT_MISNAMED
    )


def test_a_member_without_an_identifier_calls_by_no_xroad_address():
    known = knowledge()
    known.apply(change(2, replace(CLINIC, id=None)))
    call = replace(GOOD, direction="outbound", server="clinic", path=f"{ADDRESSED}/v1/public/a")
    assert decided(call, known).reason is Reason.CLIENT_MISNAMED


def test_a_service_without_a_code_has_no_xroad_address():
    call = replace(GOOD, service="open", path="/r1/MESH/GOV/100/births/", headers={"x-road-client": str(CLINIC.id)})
    assert decided(call).reason is Reason.PATH_OF_OTHER_SERVICE


def test_a_gateway_vouches_for_exactly_the_foreign_identities_that_policies_name():
    at_border = replace(GOOD, direction="border", server="gateway", principal=FOREIGNER, path="/births/v1/report")
    assert decided(at_border).caller == FOREIGNER
    behind = replace(GOOD, principal=GATEWAY.identity, path="/births/v1/report")
    vouched = decided(replace(behind, headers={CALLER_HEADER: FOREIGNER}))
    assert (vouched.reason, vouched.caller) == (Reason.ALLOWED, FOREIGNER)
    for forged in (CLINIC.identity, "spiffe://partner.example/other", f"{FOREIGNER},{FOREIGNER}"):
        assert decided(replace(behind, headers={CALLER_HEADER: forged})).reason is Reason.IDENTITY_UNKNOWN
    assert decided(behind).reason is Reason.CALLER_NOT_ALLOWED
    # Anybody else may write what he likes.
    assert decided(replace(GOOD, headers={CALLER_HEADER: FOREIGNER})).caller == CLINIC.identity


def test_a_certificate_must_name_the_principal_and_nobody_else():
    own = replace(GOOD, certificate=certificate(TRUST.issue("clinic")))
    assert decided(own).reason is Reason.ALLOWED
    two = TRUST.issuing_authority.issue(
        [x509.UniformResourceIdentifier(name) for name in (CLINIC.identity, SCHOOL.identity)],
        TRUST.from_now(TRUST.issuing_authority.validity.ends - TRUST.now()),
    )
    for bad in (certificate(TRUST.issue("school")), certificate(two), "no certificate"):
        assert decided(replace(GOOD, certificate=bad)).reason is Reason.IDENTITY_AMBIGUOUS


def test_a_change_is_taken_in_once_and_what_is_gone_is_refused():
    known = knowledge()
    assert not known.apply(change(1, OPEN.changed(access=())))
    assert known.apply(change(2, deleted=[(Kind.SERVICE, "births"), (Kind.MEMBER, "school")]))
    assert known.version == 2
    assert decided(GOOD, known).reason is Reason.SERVICE_UNKNOWN
    assert decided(replace(GOOD, server="school", direction="outbound"), known).reason is Reason.SERVER_UNKNOWN
    assert known.apply(change(3, deleted=[(Kind.MESH, "mesh")]))
    foreign = replace(GOOD, direction="border", server="gateway", principal=FOREIGNER, path="/births/v1/report")
    assert decided(foreign, known).reason is Reason.IDENTITY_UNKNOWN


def test_a_member_that_gets_another_identity_is_known_by_that_one_only():
    known = knowledge()
    # Two members swap their identities in one change, in whatever order.
    known.apply(change(2, replace(CLINIC, identity=SCHOOL.identity), replace(SCHOOL, identity=CLINIC.identity)))
    assert known.members_by_identity[CLINIC.identity].member == "school"
    assert known.members_by_identity[SCHOOL.identity].member == "clinic"
    known.apply(change(3, replace(CLINIC, identity="spiffe://mesh.test/new")))
    assert SCHOOL.identity not in known.members_by_identity


def test_a_member_and_a_foreigner_of_one_name_are_not_confused():
    known = knowledge()
    known.apply(change(2, replace(MESH, federation=(replace(MESH.federation[0], identities=(CLINIC.identity,)),))))
    behind = replace(GOOD, principal=GATEWAY.identity, headers={CALLER_HEADER: CLINIC.identity})
    assert decided(behind, known).reason is Reason.IDENTITY_UNKNOWN


TEXT = st.text(max_size=20)
CALLS = st.builds(
    Call,
    direction=st.sampled_from(["inbound", "outbound", "border", ""]) | TEXT,
    service=st.sampled_from(["births", "open", "guarded"]) | TEXT,
    server=st.sampled_from(["registry", "clinic", "gateway"]) | TEXT,
    method=st.sampled_from(["GET", "POST"]) | TEXT,
    path=st.sampled_from(["/births/", "/open/", ADDRESSED + "/", "/"]).flatmap(lambda begin: TEXT.map(begin.__add__))
    | TEXT,
    principal=st.sampled_from([CLINIC.identity, GATEWAY.identity, FOREIGNER, SCHOOL.identity]) | TEXT,
    certificate=st.just("") | TEXT,
    headers=st.dictionaries(st.sampled_from(["authorization", CALLER_HEADER, "x-road-client"]), TEXT),
)


@given(CALLS)
def test_whatever_is_asked_a_decision_is_made(call: Call):
    decision = decided(call, KNOWN)
    if decision.allowed and call.direction != "outbound":
        assert decision.caller in {CLINIC.identity, FOREIGNER}
        assert call.principal in {CLINIC.identity, FOREIGNER, GATEWAY.identity}


KNOWN = knowledge()


def test_policies_without_a_mesh_policy_are_those_of_the_default_one():
    known = Knowledge()
    known.apply(change(1, REGISTRY, MemberPolicy("clinic", CLINIC.identity), OPEN))
    assert known.mesh == MeshPolicy()
    assert decided(replace(GOOD, service="open", path="/open/"), known).reason is Reason.ALLOWED
