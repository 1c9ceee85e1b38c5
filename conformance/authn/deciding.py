"""Decides about calls: pure, from what is known, what was asked and the time.

Invariants: whatever is not plainly allowed is refused; a peer's call is allowed by its proven identity and one rule of
the service (and a token where the service needs one), an application's call by what its member may address.
"""

from __future__ import annotations

from urllib.parse import quote

from conformance.authn.call import CALLER_HEADER, Call, Decision, Direction
from conformance.authn.identity import proven_identity
from conformance.authn.knowledge import Knowledge
from conformance.authn.reasons import Reason, Refused
from conformance.authn.rules import CompiledService
from conformance.authn.tokens import Tokens
from conformance.model.policies import MemberId, MemberPolicy
from conformance.model.policy import BearerTokens

__all__ = ["decide"]

DIRECTIONS: frozenset[str] = frozenset(Direction)

XROAD = "/r1/"
"""The version prefix of X-Road addresses (X-Road: Message Protocol for REST, section 4.2)."""


def decide(knowledge: Knowledge, tokens: Tokens, call: Call, now: float) -> Decision:
    """What becomes of a call.

    Args:
        knowledge: the policies.
        tokens: remembers which tokens were found good.
        call: what is asked.
        now: seconds since 1970.

    """
    case = _Case(knowledge, call)
    reason = Reason.ALLOWED
    try:
        case.judge(tokens, now)
    except Refused as refused:
        reason = refused.reason
    return Decision(
        reason=reason,
        caller=case.caller,
        client=case.client,
        client_header=case.client_header,
        operation=case.operation,
        policy=case.policy,
        store_version=knowledge.version,
        subject=case.subject,
        issuer=case.issuer,
    )


class _Case:
    """One call on its way to a decision, and what has been found out about it so far."""

    def __init__(self, knowledge: Knowledge, call: Call) -> None:
        self._knowledge = knowledge
        self._call = call
        self.caller = self.client = self.client_header = self.operation = self.policy = self.subject = self.issuer = ""

    def judge(self, tokens: Tokens, now: float) -> None:
        """Return if the call is allowed.

        Raises:
            Refused: it is not.

        """
        call, known = self._call, self._knowledge
        if not known.version:
            raise Refused(Reason.NO_POLICIES)
        if not (call.direction in DIRECTIONS and call.service and call.server and call.method and call.path):
            raise Refused(Reason.QUESTION_INCOMPLETE)
        server = known.members.get(call.server)
        if server is None:
            raise Refused(Reason.SERVER_UNKNOWN)
        self._name_caller(server)
        service = known.services.get(call.service)
        if service is None:
            raise Refused(Reason.SERVICE_UNKNOWN)
        self.policy = service.policy.version
        if call.direction == Direction.OUTBOUND:
            if call.service not in server.calls:
                raise Refused(Reason.NOT_CALLED_FROM_HERE)
            self._path_of(service)
            return
        self.client_header = known.mesh.client_header.lower()
        stands_here = server.gateway if call.direction == Direction.BORDER else server.member == service.policy.provider
        if not stands_here:
            raise Refused(Reason.NOT_PROVIDED_HERE)
        self.operation = service.judge(self.caller, call.method, self._path_of(service))
        if service.policy.tokens is not None:
            self._check_token(service.policy.tokens, tokens, now)

    def _name_caller(self, server: MemberPolicy) -> None:
        match self._call.direction:
            case Direction.OUTBOUND:
                self.caller = server.identity
            case Direction.BORDER:
                self.caller = self._foreigner(proven_identity(self._call.principal, self._call.certificate))
            case Direction.INBOUND:
                self.caller = self._peer(proven_identity(self._call.principal, self._call.certificate))
        member = self._knowledge.members_by_identity.get(self.caller)
        if member is not None and member.id is not None:
            self.client = _xroad(member.id)

    def _peer(self, identity: str) -> str:
        """The member that calls; behind an external gateway, the identity that the gateway vouches for.

        A gateway can vouch for callers of other trust domains only, so it cannot speak for a member.
        """
        member = self._knowledge.members_by_identity.get(identity)
        if member is None:
            raise Refused(Reason.IDENTITY_UNKNOWN)
        vouched_for = self._call.headers.get(CALLER_HEADER, "") if member.gateway else ""
        return self._foreigner(vouched_for) if vouched_for else identity

    def _foreigner(self, identity: str) -> str:
        """An identity of another trust domain: exactly those that policies name are let in."""
        if identity not in self._knowledge.foreign or identity in self._knowledge.members_by_identity:
            raise Refused(Reason.IDENTITY_UNKNOWN)
        return identity

    def _path_of(self, service: CompiledService) -> str:
        """The path as the service sees it, without the part that addresses the service.

        In an X-Road call a client names itself, and must be the one that it says. For an application that does not,
        its own security server does it afterwards.
        """
        path = self._call.path.partition("?")[0].partition("#")[0]
        prefix = service.prefix
        if path.startswith(XROAD):
            prefix = self._xroad_prefix(service)
            unnamed = self.client if self._call.direction == Direction.OUTBOUND else ""
            named = self._call.headers.get(self._knowledge.mesh.client_header.lower(), unnamed)
            if not self.client or named != self.client:
                raise Refused(Reason.CLIENT_MISNAMED)
        if not path.startswith(prefix + "/"):
            raise Refused(Reason.PATH_OF_OTHER_SERVICE)
        return path[len(prefix) :]

    def _xroad_prefix(self, service: CompiledService) -> str:
        provider = self._knowledge.members.get(service.policy.provider)
        if provider is None or provider.id is None or not service.policy.code:
            raise Refused(Reason.PATH_OF_OTHER_SERVICE)
        return f"{XROAD}{_xroad(provider.id)}/{quote(service.policy.code, safe='')}"

    def _check_token(self, needed: BearerTokens, tokens: Tokens, now: float) -> None:
        issuers = [self._knowledge.issuers[name] for name in needed.issuers if name in self._knowledge.issuers]
        token = tokens.judge(self._call.headers.get("authorization"), needed.audience, issuers, now)
        self.subject, self.issuer = token.subject, token.issuer


def _xroad(member: MemberId) -> str:
    """An identifier as it is written in headers and addresses; parts are percent-encoded."""
    parts = (member.instance, member.member_class, member.member_code, member.subsystem)
    return "/".join(quote(part, safe="") for part in parts if part)
