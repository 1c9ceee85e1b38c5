"""Where an authentication service can be made to misbehave.

The suite proves its checks with seeded defects. Those of an authentication service are subclasses of `Behaviour` that
change one answer each; the service itself knows nothing of them. Examples: letting everything through is `decide`
returning an allowed decision; ignoring expiry is doing so for the reason `token-expired` only; deciding by old policies
is `receive` returning nothing after the first change; keeping a forged identity header is `headers` leaving it out;
sleeping is `before_answer` waiting for an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.authn.call import Call, Decision
from conformance.authn.decision_log import Line
from conformance.model.policies import PolicyChange

__all__ = ["Behaviour"]


class Behaviour:
    """How an authentication service behaves: honestly. Override a method to seed a defect."""

    def receive(self, change: PolicyChange) -> Sequence[PolicyChange]:
        """The changes to take in, in this order, when `change` has come."""
        return (change,)

    async def before_answer(self, call: Call) -> None:
        """Wait before a call is decided about."""

    def decide(self, call: Call, decision: Decision) -> Decision:
        """The decision to answer with, given the right one. `dataclasses.replace` makes another one of it."""
        return decision

    def headers(self, call: Call, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The identity headers to write, given the right ones; an empty value removes a header, a missing one keeps
        what came in.
        """
        return headers

    def note(self, call: Call, line: Line) -> Line | None:
        """The line to write into the decision log, given the right one; None: none."""
        return line

    def over_limit(self, descriptor: Mapping[str, str], over: bool) -> bool:
        """Whether the call is too much for a global limit, given the right answer."""
        return over
