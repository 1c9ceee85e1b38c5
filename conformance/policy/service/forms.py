"""The bodies of requests and the words of answers that are no policies themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conformance.model.policies import Kind, PolicyKey
from conformance.policy.service.bodies import JsonValue
from conformance.policy.service.problems import MOST_FLAWS, Flaw, Problem, Reason
from conformance.policy.store import Document, ProxyReport

__all__ = [
    "ChangesForm",
    "EndpointForm",
    "ReportsForm",
    "RollbackForm",
    "change_word",
    "name_of",
    "read",
    "report_json",
]

MOST_DOCUMENTS = 100
MOST_REPORTS = 1_000
LARGEST = 2**53 - 1

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
INSTANT = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$"
)

Name = Annotated[str, Field(pattern=NAME)]
Version = Annotated[int, Field(ge=1, le=LARGEST)]


class Form(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ChangeForm(Form):
    """One policy of a change: as it shall be, or None to delete it; and at which version its author has read it."""

    kind: Literal["mesh", "member", "service"]
    name: Name
    document: dict[str, Any] | None
    expected: Annotated[int, Field(ge=0, le=LARGEST)] | None = None

    @property
    def key(self) -> PolicyKey:
        """Kind and name."""
        return Kind(self.kind), self.name


class ChangesForm(Form):
    """Several policies at once."""

    changes: Annotated[list[ChangeForm], Field(min_length=1, max_length=MOST_DOCUMENTS)]


class RollbackForm(Form):
    """Back to what a version was."""

    to: Version


class EndpointForm(Form):
    """An endpoint without its address, which stands in the path."""

    server_name: str = ""
    group: str = ""
    weight: int = 1
    priority: int = 0


class ReportForm(Form):
    """What a control plane says about one version at one security server."""

    version: Version
    proxy: Annotated[str, Field(min_length=1, max_length=255)]
    state: Literal["pending", "applied", "rejected"]
    since: Annotated[str, Field(pattern=INSTANT)]
    reason: Annotated[str, Field(max_length=10_000)] = ""


class ReportsForm(Form):
    """Several reports."""

    reports: Annotated[list[ReportForm], Field(min_length=1, max_length=MOST_REPORTS)]


AnyForm = TypeVar("AnyForm", bound=Form)


def read(form: type[AnyForm], body: JsonValue) -> AnyForm:
    """A body as a form.

    Raises:
        Problem: 422, with everything that is wrong.

    """
    try:
        return form.model_validate(body)
    except ValidationError as error:
        found = islice(error.errors(include_url=False, include_context=False, include_input=False), MOST_FLAWS)
        flaws = [Flaw(each["msg"], pointer=_pointer(each["loc"])) for each in found]
        raise Problem(Reason.INVALID, "the body is not valid", flaws) from error


def is_name(text: str) -> bool:
    """Whether a policy may have this name."""
    return re.fullmatch(NAME, text) is not None


def name_of(key: PolicyKey) -> str:
    """How a policy is called: `service/citizen-id`."""
    return f"{key[0].value}/{key[1]}"


def change_word(before: Document | None, after: Document | None, *, same: bool) -> str:
    """What became of a document."""
    if same or (before is None and after is None):
        return "unchanged"
    if before is None:
        return "created"
    return "deleted" if after is None else "changed"


def report_json(report: ProxyReport) -> dict[str, Any]:
    """A report, as in the contract."""
    return {
        "version": report.version,
        "proxy": report.proxy,
        "state": report.state.value,
        "since": report.since.replace("+00:00", "Z"),
        "reason": report.reason,
        "control_plane": report.control_plane,
    }


def _pointer(place: Sequence[int | str]) -> str:
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in place)
