"""What is wrong with policies, all of it at once and each with its place and the next step.

Invariant: a problem stands in one document at one JSON pointer (RFC 6901); the empty pointer is the whole document.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.model.errors import UsageError
from conformance.model.policies import PolicyKey

__all__ = ["InvalidPolicies", "Problem", "hint", "name_of", "pointer"]

MOST_SHOWN = 50


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        document: kind and name, such as `service/citizen-id`; for a document without them, where it came from.
        path: JSON pointer to the value in it.
        reason: what is wrong there.
        next_step: what to do.
        where: `file:line:column`, for a document that was read from a file.

    """

    document: str
    path: str
    reason: str
    next_step: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: {self.document}" if self.where else self.document
        return f"{place} {self.path or '(whole)'}: {self.reason}; {self.next_step}"


class InvalidPolicies(UsageError):  # noqa: N818 -- whose fault it is stands in the base's name
    """Policies that are no good. `problems` holds every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        shown = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            shown.append(f"... and {len(self.problems) - MOST_SHOWN} more")
        count = len(self.problems)
        super().__init__(
            "one thing is wrong with the policies" if count == 1 else f"{count} things are wrong with the policies",
            detail="\n".join(shown),
            next_step="mend them all together; nothing was changed",
        )


def name_of(key: PolicyKey) -> str:
    """How messages call a document: `service/citizen-id`."""
    return f"{key[0].value}/{key[1]}"


def pointer(path: Sequence[str | int]) -> str:
    """The JSON pointer that leads along these keys and indexes."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def hint(given: str, known: Iterable[str], *, otherwise: str) -> str:
    """The nearest valid word, if one is near."""
    # Comparing with each of ten thousand names would take longer than all the rest.
    candidates = [word for word in known if abs(len(word) - len(given)) <= 3 and word[:1] == given[:1]]
    close = difflib.get_close_matches(given, candidates[:200], n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else otherwise
