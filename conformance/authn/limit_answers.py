"""Questions and answers about global limits as Envoy words them (`envoy.service.ratelimit.v3.RateLimitService`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from conformance.authn.limits import Descriptor, LimitAnswer
from conformance.protobuf.messages import DynamicMessage, message_class

__all__ = ["RateLimitRequest", "descriptors_in", "limit_answer_to"]

RateLimitRequest = message_class("envoy.service.ratelimit.v3.RateLimitRequest")
RateLimitResponse = message_class("envoy.service.ratelimit.v3.RateLimitResponse")
OK, OVER_LIMIT = 1, 2
UNITS = {1.0: 1, 60.0: 2, 3600.0: 3, 86400.0: 4}
"""Seconds of `RateLimit.Unit`; a limit of another length is not described, only kept."""


def descriptors_in(request: DynamicMessage) -> list[Descriptor]:
    """The limits that a call concerns."""
    return [{entry.key: entry.value for entry in descriptor.entries} for descriptor in request.descriptors]


def limit_answer_to(answers: Sequence[LimitAnswer]) -> bytes:
    """The encoded answer; a question without descriptors is refused, because it is about nothing that is known."""
    response: DynamicMessage = RateLimitResponse()
    over = not answers or any(answer.over for answer in answers)
    response.overall_code = OVER_LIMIT if over else OK
    for answer in answers:
        status = response.statuses.add(code=OVER_LIMIT if answer.over else OK, limit_remaining=answer.remaining)
        if answer.per_s in UNITS:
            status.current_limit.requests_per_unit = answer.requests
            status.current_limit.unit = UNITS[answer.per_s]
    if over:
        wait = max((answer.wait_s for answer in answers), default=0.0)
        response.response_headers_to_add.add(key="retry-after", value=str(math.ceil(wait) or 1))
    return bytes(response.SerializeToString())
