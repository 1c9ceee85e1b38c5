"""What the register of the mesh says, and what becomes of a service that is not in it."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.model.policy import ServicePolicy
from conformance.probe import CALLER, EvidenceKind, Exchange, Feature, Probe

UNLISTED = "unlisted"
"""A service that runs, whether it is registered or not."""


@check(
    id="DISCOVERY-007",
    title="The directory lists the member, its service, and the operations of its contract",
    proves=["DISCOVERY-R6"],
    needs=[Feature.DISCOVERY],
    evidence=["directory", "contract"],
    fails={
        "not-listed": "The member is in the directory, and its service among what it offers.",
        "operation-missing": "Every operation of the service's contract is in the directory.",
        "operation-unknown": "The directory lists no operation that is not in the service's contract.",
    },
    remedy="Register the member with its identifier and the service with the operations of its contract, and renew "
    "them with each release; an operation with characters that no URL has cannot be registered.",
)
async def lists_services(probe: Probe) -> None:
    """Nobody calls what he cannot find, and who finds what is no longer there calls in vain.

    The directory is asked as a member asks it, under the identity of the calling application: for the members of the
    mesh (listClients) and for what the subject offers (listMethods). What it says is compared with the contract.
    """
    contract = {f"{each.method} {each.path}" for document in probe.subject.contracts for each in document.operations}
    listing = await probe.registry.look_up(probe.subject.name)
    probe.record("directory", EvidenceKind.CONTRACT, listing.to_json())
    probe.record("contract", EvidenceKind.CONTRACT, {"operations": sorted(contract)})

    listed = listing.services.get(probe.subject.name)
    seen = f"{listing.member}: {'among' if listing.known else 'not among'} the members, offers {[*listing.services]}"
    probe.expect("not-listed", listed is not None, seen=seen)
    missing = sorted(contract - (listed or set()))
    probe.expect("operation-missing", not missing, seen=f"missing: {missing or 'none'}")
    unknown = sorted((listed or set()) - contract)
    probe.expect("operation-unknown", not unknown, seen=f"not in the contract: {unknown or 'none'}")


@check(
    id="DISCOVERY-008",
    title="A service that runs and is not registered is refused on both sides",
    proves=["DISCOVERY-R7"],
    needs=[Feature.DISCOVERY],
    evidence=[
        "while registered",
        "after the withdrawal",
        "to the caller's security server",
        "to the provider's security server",
    ],
    fails={
        "left-the-caller": "Nothing of the call leaves the caller's security server.",
        "reached-the-service": "The provider's security server passes nothing on to the service.",
        "wrong-refusal": "The caller's security server answers 404 (route_not_found), the provider's refuses by 403 or "
        "404 and says so in its access log.",
    },
    inconclusive={"registered-service-refused": "While the service is registered it is called, on both ways."},
    remedy="Withdraw routes and their scopes with the service, at the caller's security server and at the provider's; "
    "look for routes that were left over, for catch-all routes and for default clusters.",
)
async def refuses_what_is_not_registered(probe: Probe) -> None:
    """A test system that was left running, or a service under examination, must not be reached by whoever knows it.

    A service is registered and called, through the caller's security server and straight at the provider's, under the
    caller's identity. Then it leaves the register and goes on running. Both ways must end before they reach it.
    """
    async with probe.witness.extra_endpoint(UNLISTED) as running, probe.peer_connection(http2=True) as peer:
        everybody = (probe.everything_for(CALLER),)
        policy = ServicePolicy(service=UNLISTED, endpoints=(running.endpoint,), access=everybody, authentication=False)

        async def both_ways() -> tuple[Exchange, Exchange]:
            here = await probe.call("/here", method="POST", service=UNLISTED)
            return here, await probe.call("/there", method="POST", service=UNLISTED, connection=peer)

        async def served() -> bool:
            return all(exchange.status == 200 for exchange in await both_ways())

        async def refused() -> bool:
            return all(exchange.status != 200 for exchange in await both_ways())

        await probe.registry.register(policy, provider=probe.subject.name)
        known = bool(await probe.eventually(served, what="the service is called", timeout=probe.timeouts.enforced))
        probe.record("while registered", EvidenceKind.NOTE, {"called on both ways": known})
        probe.require("registered-service-refused", known, seen=f"called on both ways: {known}")
        await probe.registry.withdraw(UNLISTED)
        ended = bool(await probe.eventually(refused, what="the service is refused", timeout=probe.timeouts.enforced))
        here, there = await both_ways()
    lines = [await probe.line(here, CALLER) or {}, await probe.line(there) or {}]
    probe.record("after the withdrawal", EvidenceKind.NOTE, {"refused on both ways": ended})
    probe.record_exchange("to the caller's security server", here, lines[0])
    probe.record_exchange("to the provider's security server", there, lines[1])

    left = lines[0].get("upstream_host") or probe.lines(here) or probe.arrivals(here.nonce)
    probe.expect("left-the-caller", not left, seen=f"{here.summary}, sent to {lines[0].get('upstream_host')}")
    arrived = len(probe.arrivals(there.nonce))
    probe.expect("reached-the-service", not arrived, seen=f"{there.summary}, arrived {arrived} times")
    details = [str(line.get("details")) for line in lines]
    right = here.status == 404 and details[0] == "route_not_found"
    right &= there.status in {403, 404} and details[1].startswith(("route_not_found", "rbac_access_denied"))
    probe.expect("wrong-refusal", right, seen=f"{here.summary} ({details[0]}); {there.summary} ({details[1]})")
