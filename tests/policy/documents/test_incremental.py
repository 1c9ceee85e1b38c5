"""What a change touches is judged as if everything were, and at the cost of the change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.policies import Kind, MemberPolicy, PolicyKey
from conformance.model.policy import ServicePolicy
from conformance.policy.documents import IncrementalJudge, InvalidPolicies, PolicySet, judge, to_policy
from conformance.policy.store import Write

from .small_mesh import MESH, OTHER, SERVICE, foreign_authority, small_mesh

DOMAINS = ["mesh.test", "partner.test", "clinic.test"]
names = st.sampled_from(["a", "b", "c"])
identities = st.builds(lambda domain, name: f"spiffe://{domain}/{name}", st.sampled_from(DOMAINS), names)
federations = st.lists(
    st.builds(
        lambda domain, name: {
            "name": domain,
            "authority_pem": foreign_authority(),
            "identities": [f"spiffe://{domain}/{name}"],
        },
        st.sampled_from(DOMAINS[1:]),
        names,
    ),
    max_size=1,
)
meshes = st.builds(
    lambda federation, issuers: {
        "kind": "mesh",
        "topology": "external-gateway",
        "federation": federation,
        "issuers": [{"name": each, "issuer": each, "jwks": {"keys": []}} for each in issuers],
    },
    federations,
    st.lists(names, unique=True, max_size=1),
)
members = st.builds(
    lambda name, identity, calls, gateway: {
        "kind": "member",
        "name": name,
        "identity": identity,
        "calls": calls,
        "gateway": gateway,
    },
    names,
    identities,
    st.lists(names, unique=True, max_size=1),
    st.booleans(),
)
services = st.builds(
    lambda name, provider, callers, code, issuers: {
        "kind": "service",
        "name": name,
        "provider": provider,
        "code": code,
        "access": [{"caller": caller} for caller in callers],
        **({"tokens": {"audience": "x", "issuers": issuers}} if issuers else {}),
    },
    names,
    names,
    st.lists(names | identities, unique=True, max_size=2),
    st.sampled_from(["", "x"]),
    st.lists(names, unique=True, max_size=1),
)
writes = st.lists(
    st.builds(
        lambda document, stays: Write(
            (Kind(document["kind"]), document.get("name", "mesh")), document if stays else None
        ),
        meshes | members | services,
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(writes, max_size=12))
def test_what_a_change_touches_is_wrong_exactly_if_the_whole_is(changes: list[list[Write]]) -> None:
    good, documents = PolicySet(), dict[PolicyKey, Any]()
    stateful = IncrementalJudge()
    for change in changes:
        wanted = {**documents, **{write.key: write.document for write in change}}
        wanted = {key: document for key, document in wanted.items() if document is not None}
        after = good.with_writes(change)
        whole = PolicySet.of(wanted)
        assert dict(after.policies) == dict(whole.policies)
        assert {key: set(found) for key, found in after.facts.items()} == {
            key: set(found) for key, found in whole.facts.items()
        }
        found = after.problems_after([write.key for write in change], good)
        places = {(problem.document, problem.path) for problem in found}
        assert places <= {(problem.document, problem.path) for problem in whole.problems()}
        assert bool(found) == bool(whole.problems())
        assert _accepts(stateful, wanted, change) == _accepts(judge, wanted, change) == (not found)
        if not found:
            good, documents = after, wanted


def test_a_name_that_the_change_itself_takes_away_is_called_deleted() -> None:
    documents = small_mesh()
    before = PolicySet.of(documents)
    found = before.with_writes([Write(OTHER, None)]).problems_after([OTHER], before)
    assert [(each.document, each.path, each.reason) for each in found] == [
        ("service/births", "/access/0/caller", "member/office is deleted and still needed here")
    ]


def test_a_judge_that_refused_judges_the_next_change_by_what_was_good() -> None:
    documents = small_mesh()
    stateful = IncrementalJudge()
    stateful(documents, [])
    broken = {**documents, SERVICE: {**documents[SERVICE], "provider": "nobody"}}
    for _ in range(2):
        with pytest.raises(InvalidPolicies) as refused:
            stateful(broken, [Write(SERVICE, broken[SERVICE])])
        assert [(each.document, each.path) for each in refused.value.problems] == [("service/births", "/provider")]
    stateful(documents, [])


def test_a_refusal_lists_all_that_is_wrong() -> None:
    documents = small_mesh()
    documents[SERVICE] |= {"provider": "nobody", "timeout_s": 5}
    documents[OTHER]["calls"] = ["nothing"]
    with pytest.raises(InvalidPolicies) as refused:
        judge(documents, [])
    assert str(refused.value).splitlines() == [
        "2 things are wrong with the policies",
        "  member/office /calls/0: there is no service `nothing`; add service/nothing first, or in the same change",
        "  service/births /provider: there is no member `nobody`; add member/nobody first, or in the same change",
        "  next: mend them all together; nothing was changed",
    ]


def test_a_set_never_changes() -> None:
    before = PolicySet.of(small_mesh())
    after = before.with_writes([Write(SERVICE, None), Write(OTHER, None)])
    assert before.service("births") is not None
    assert after.service("births") is None
    assert before.services_of("registry") == {"births"}
    assert after.services_of("registry") == set()


def test_callers_are_resolved_to_identities_under_the_same_version() -> None:
    policies = PolicySet.of(small_mesh())
    service = policies.service("births")
    assert isinstance(service, ServicePolicy)
    resolved = policies.resolved(service)
    assert [rule.caller for rule in resolved.access] == [
        "spiffe://mesh.test/security-server/office",
        "spiffe://partner.test/clinic",
    ]
    assert resolved.version == service.version
    assert policies.resolved(resolved) is resolved


def test_a_rule_for_an_unknown_member_lets_nobody_through() -> None:
    policies = PolicySet()
    service = to_policy({"kind": "service", "name": "s", "provider": "p", "access": [{"caller": "nobody"}]})
    assert isinstance(service, ServicePolicy)
    assert policies.resolved(service).access == ()


def test_the_services_to_hand_out_again_are_those_that_name_the_member() -> None:
    policies = PolicySet.of(small_mesh())
    assert policies.services_naming("office") == {"births"}
    assert policies.services_naming("registry") == set()
    assert policies.services_of("registry") == {"births"}


def test_a_mesh_that_nobody_described_has_the_defaults() -> None:
    assert PolicySet().mesh == PolicySet.of({MESH: {"kind": "mesh"}}).mesh


def test_one_change_of_ten_thousand_services_looks_only_at_what_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    documents: dict[PolicyKey, Any] = {
        (Kind.MEMBER, f"m{number}"): {
            "kind": "member",
            "name": f"m{number}",
            "identity": f"spiffe://mesh.test/m{number}",
        }
        for number in range(100)
    }
    for number in range(10_000):
        rules = [{"caller": f"m{caller}"} for caller in {number % 100, (number + 1) % 100}]
        documents[Kind.SERVICE, f"s{number}"] = {
            "kind": "service",
            "name": f"s{number}",
            "provider": f"m{number % 100}",
            "access": rules,
        }
    before = PolicySet.of(documents)
    assert before.problems() == []
    looked_at: list[str] = []
    faults = PolicySet._problems_in

    def noting(self: PolicySet, keys: Any, gone: Any) -> Any:
        looked_at.extend(name for _, name in keys)
        return faults(self, keys, gone)

    monkeypatch.setattr(PolicySet, "_problems_in", noting)
    key = (Kind.SERVICE, "s4711")
    after = before.with_writes([Write(key, {**documents[key], "timeout_s": 1})])
    assert after.problems_after([key], before) == []
    assert looked_at == [key[1]]
    member = before.member("m7")
    assert isinstance(member, MemberPolicy)
    assert len(before.services_naming("m7")) == 200
    assert after.policies[Kind.MEMBER, "m7"] is member


def _accepts(judged: Any, documents: Any, change: list[Write]) -> bool:
    try:
        judged(documents, change)
    except InvalidPolicies:
        return False
    return True
