"""Faults of tracing: trails that break, spans that are missing, too many or too talkative, ids that get lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.controlplane.rendering.tracing import CORRELATION_ID
from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import Edited
from conformance.faults.seeding import Caught, seed
from conformance.mesh import CALLER, Resources
from conformance.model.verdict import Verdict

TYPE = "type.googleapis.com/envoy."
Manager = dict[str, Any]


def on_managers(change: Callable[[Manager], None], listener: str = "*", *, but: str = "") -> Edited:
    """Changes HTTP connection managers: of all listeners or one, of all security servers or all but one."""

    def edit(server: str, resources: Resources) -> None:
        if server == but:
            return
        for name, each in resources[ResourceType.LISTENER].items():
            if listener in {"*", name}:
                change(each["filter_chains"][0]["filters"][0]["typed_config"])

    return Edited(edit)


def correlation(manager: Manager) -> dict[str, list[Any]]:
    """What the correlation filter does, to be changed."""
    filters = manager["http_filters"]
    found: dict[str, list[Any]] = next(each for each in filters if each["name"] == "meshmark.correlation")[
        "typed_config"
    ]["mutations"]
    return found


def tag(name: str, **source: Any) -> Callable[[Manager], None]:  # noqa: ANN401 -- any source of a tag
    """One tag more in each span."""

    def change(manager: Manager) -> None:
        manager["tracing"]["custom_tags"].append({"tag": name, **source})

    return change


# ---------------------------------------------------------------------- the trail


def no_tracing(manager: Manager) -> None:
    """None at all."""
    manager.pop("tracing")


def no_tracing_but(mutation: dict[str, Any]) -> Callable[[Manager], None]:
    """No spans, and the headers of calls are changed."""

    def change(manager: Manager) -> None:
        no_tracing(manager)
        correlation(manager)["request_mutations"].append(mutation)

    return change


INVENTED = {
    "header": {"key": "traceparent", "value": "%REQ(TRACEPARENT):36%00f067aa0ba902b7-01"},
    "append_action": "OVERWRITE_IF_EXISTS",
}
"""The trace id of the caller, and a parent that no span has."""

seed(
    "trace-context-dropped",
    defect="Security servers take the trace context of their own applications away, because they do not trace.",
    modifier=on_managers(no_tracing_but({"remove": "traceparent"}), "outbound"),
    caught_by={
        "TRACE-001": "trace-id-changed",
        "TRACE-002": "span-missing",
        "TRACE-003": "span-missing",
        "TRACE-005": Caught("spans-missing", Verdict.INCONCLUSIVE),
        "TRACE-006": Caught("spans-missing", Verdict.INCONCLUSIVE),
    },
)
seed(
    "trace-parent-invented",
    defect="On the way out calls are given a parent of which nobody exports a span.",
    modifier=on_managers(no_tracing_but({"append": INVENTED}), "outbound"),
    caught_by={
        "TRACE-001": "sampling-changed",
        "TRACE-002": "span-missing",
        "TRACE-003": "wrong-parents",
        "TRACE-005": Caught("spans-missing", Verdict.INCONCLUSIVE),
        "TRACE-006": Caught("spans-missing", Verdict.INCONCLUSIVE),
    },
)


def sample_everything(manager: Manager) -> None:
    """By the sampler that was meant for callers without a decision of their own."""
    config = manager["tracing"]["provider"]["typed_config"]
    sampler = config["sampler"]["typed_config"]["wrapped_sampler"]
    sampler["typed_config"]["sampling_percentage"]["numerator"] = 1_000_000
    config["sampler"] = sampler


seed(
    "trace-everything-sampled",
    defect="Security servers trace every call, whatever its caller has decided.",
    modifier=on_managers(sample_everything),
    caught_by={"TRACE-001": "sampling-changed", "TRACE-002": "unsampled-exported"},
)


seed(
    "trace-no-spans-on-the-way-out",
    defect="Security servers trace calls that come in, and none that go out.",
    modifier=on_managers(no_tracing, "outbound"),
    caught_by={
        "TRACE-002": "span-missing",
        "TRACE-003": "span-missing",
        "TRACE-005": Caught("spans-missing", Verdict.INCONCLUSIVE),
        "TRACE-006": Caught("spans-missing", Verdict.INCONCLUSIVE),
    },
)


def no_direction(_: str, resources: Resources) -> None:
    """Then Envoy takes each for a server."""
    resources[ResourceType.LISTENER]["outbound"].pop("traffic_direction")


seed(
    "trace-direction-unsaid",
    defect="No listener says that its calls go out, so all spans are those of servers.",
    modifier=Edited(no_direction),
    caught_by={"TRACE-002": "span-missing", "TRACE-003": "wrong-parents", "TRACE-005": "failure-not-marked"},
)
# ---------------------------------------------------------------------- the correlation id


def create_none(manager: Manager) -> None:
    """Whoever has one keeps it."""
    correlation(manager)["request_mutations"].clear()


def always_create(manager: Manager) -> None:
    """Whoever has one gets another."""
    for mutation in correlation(manager)["request_mutations"]:
        mutation["append"] |= {
            "header": {"key": CORRELATION_ID, "value": "%STREAM_ID%-%CONNECTION_ID%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }


def return_none(manager: Manager) -> None:
    """The caller learns nothing."""
    correlation(manager)["response_mutations"].clear()


seed(
    "trace-no-correlation-id",
    defect="Security servers make no correlation id.",
    modifier=on_managers(create_none),
    caught_by={"TRACE-004": "not-created"},
)
seed(
    "trace-correlation-id-replaced",
    defect="A security server gives calls of other building blocks correlation ids of its own.",
    modifier=on_managers(always_create, "inbound", but=CALLER),
    caught_by={"TRACE-004": "changed-on-the-way"},
)
seed(
    "trace-correlation-id-kept-back",
    defect="Callers are not told the correlation id of their call.",
    modifier=on_managers(return_none),
    caught_by={"TRACE-004": "not-returned"},
)

# ---------------------------------------------------------------------- what spans say


def quote_paths(manager: Manager) -> None:
    """Envoy's default."""
    manager["tracing"].pop("max_path_tag_length")


seed(
    "trace-query-in-spans",
    defect="Spans quote the path of a call with its query.",
    modifier=on_managers(quote_paths),
    caught_by={"TRACE-006": "personal-data-exported"},
)
seed(
    "trace-header-in-spans",
    defect="Spans quote the header by which a person proves who they are.",
    modifier=on_managers(tag("session", request_header={"name": "authorization"})),
    caught_by={"TRACE-006": "personal-data-exported"},
)
seed(
    "trace-all-failed",
    defect="Spans say that every call has failed.",
    modifier=on_managers(tag("http.status_code", literal={"value": "500"})),
    caught_by={"TRACE-005": "success-marked"},
)
