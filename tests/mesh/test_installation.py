"""The configuration of security servers that run elsewhere."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conformance.controlplane.resources import ResourceType, encode
from conformance.mesh.configuration import Difference
from conformance.mesh.installation import Installation, Plan
from conformance.model.policies import Kind, MemberPolicy, PolicyChange
from conformance.model.policy import AccessRule, Endpoint, ServicePolicy
from conformance.pki import GivenAuthority, TrustDomain

DOMAIN = TrustDomain()
CALLER = MemberPolicy("caller", DOMAIN.identity("security-server/caller"), calls=("echo",))
REGISTRY = MemberPolicy("registry", DOMAIN.identity("security-server/registry"))
ECHO = ServicePolicy(
    service="echo",
    provider="registry",
    endpoints=(Endpoint("127.0.0.1", 8080),),
    access=(AccessRule(caller=CALLER.identity),),
)
IDENTITY = (ResourceType.SECRET, "identity")


def installation() -> Installation:
    issuing = DOMAIN.issuing_authority
    key = issuing.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    authority = GivenAuthority(issuing.certificate.public_bytes(Encoding.PEM), key, DOMAIN.bundle_pem)
    return Installation(authority, Plan(authentication=Endpoint("authentication", 9000)))


def begun() -> tuple[Installation, dict[str, Difference]]:
    made = installation()
    return made, made.take(PolicyChange(1, (CALLER, REGISTRY, ECHO)))


def test_a_sidecar_listens_for_peers_everywhere_and_for_its_application_on_loopback() -> None:
    _, told = begun()
    places = {
        name: told["registry"].changed[ResourceType.LISTENER, name]["address"]["socket_address"]
        for name in ("inbound", "outbound")
    }
    assert (places["inbound"]["address"], places["inbound"]["port_value"]) == ("0.0.0.0", 15443)
    assert (places["outbound"]["address"], places["outbound"]["port_value"]) == ("127.0.0.1", 15001)


def test_peers_and_helpers_that_are_known_by_name_are_looked_up() -> None:
    _, told = begun()
    changed = told["caller"].changed
    peer, helper = (changed[ResourceType.CLUSTER, name] for name in ("peer-echo", "authentication-service"))
    assert (peer["type"], helper["type"]) == ("STRICT_DNS", "STRICT_DNS")
    assert "'address': 'registry'" in str(peer["load_assignment"])
    # Endpoints that come by EDS have to be addresses.
    assert (ResourceType.ENDPOINT, "peer-echo") not in changed
    for (kind, name), fields in changed.items():
        encode(kind, name, fields)


def test_every_certificate_is_made_anew_and_nothing_else_changes() -> None:
    made, first = begun()
    told = made.renew()
    assert {name: set(difference.changed) for name, difference in told.items()} == {
        "caller": {IDENTITY},
        "registry": {IDENTITY},
    }
    assert told["caller"].changed[IDENTITY] != first["caller"].changed[IDENTITY]


def test_a_member_that_has_gone_has_no_configuration_any_more() -> None:
    made, _ = begun()
    certificate = DOMAIN.issue("security-server/caller").certificate_chain_pem
    assert made.admits("caller", certificate)
    told = made.take(PolicyChange(2, (), ((Kind.MEMBER, "caller"),)))
    assert (ResourceType.LISTENER, "inbound") in told["caller"].removed
    assert not told["caller"].changed
    assert not made.admits("caller", certificate)
    back = made.take(PolicyChange(3, (CALLER,)))
    assert (ResourceType.LISTENER, "inbound") in back["caller"].changed
    assert made.admits("caller", certificate)


def test_only_the_identity_of_the_member_itself_gets_its_configuration() -> None:
    made, _ = begun()
    registry = DOMAIN.issue("security-server/registry").certificate_chain_pem
    assert made.admits("registry", registry)
    assert not made.admits("caller", registry)
    assert not made.admits("caller", b"")
    assert not made.admits("unknown", registry)


def test_a_member_whose_identity_nobody_can_vouch_for_is_left_out_and_the_others_go_on() -> None:
    made = installation()
    foreign = MemberPolicy("foreign", "spiffe://partner.example/security-server/foreign")
    told = made.take(PolicyChange(1, (foreign, REGISTRY)))
    assert told.keys() == {"registry"}
    assert set(made.names) == {"registry"}
