"""Whether spans are one trace, and whether they tell what they must not."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from conformance.mesh import Leak, Span, chain, contains_any
from conformance.model.errors import SuiteFault

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRET = "Žofie Žáková/1990?04"


def span(span_id: str, parent_id: str = "", **changes: Any) -> Span:
    values = {
        "trace_id": TRACE,
        "span_id": span_id,
        "parent_id": parent_id,
        "name": "ingress",
        "kind": "server",
        "service": f"service {span_id}",
        "status": "unset",
        "status_message": "",
        "start_ns": 0,
        "end_ns": 0,
    }
    return Span(**values | changes)


def test_a_tree_is_whole_and_has_its_parents_first():
    tree = chain([span("c", "b", start_ns=3), span("d", "a", start_ns=2), span("b", "a", start_ns=1), span("a")])
    assert tree.whole
    assert [each.span_id for each in tree.spans] == ["a", "b", "c", "d"]
    assert tree.edges == (("service a", "service b"), ("service b", "service c"), ("service a", "service d"))


def test_a_caller_that_takes_part_has_one_child():
    assert chain([span("a", "f00d"), span("b", "a")], begun_by="f00d").whole
    assert chain([span("a"), span("b", "a")], begun_by="f00d").problems == (
        "0 spans are children of the caller's span f00d, instead of one",
        "the parent of service a 'ingress' (a, child of nobody) is not there",
    )


@pytest.mark.parametrize(
    ("spans", "problem"),
    [
        ([], "0 spans have no parent, instead of one"),
        ([span("a"), span("b")], "2 spans have no parent, instead of one"),
        ([span("a"), span("c", "b")], "the parent of service c 'ingress' (c, child of b) is not there"),
        ([span("a"), span("b", "a"), span("b", "a")], "the span id b is there 2 times"),
        ([span("a"), span("b", "a", trace_id="0" * 32)], "there are 2 traces instead of one"),
        ([span("a"), span("b", "c"), span("c", "b")], "2 spans are their own ancestors"),
    ],
)
def test_what_is_no_tree_is_told(spans: list[Span], problem: str):
    judged = chain(spans)
    assert not judged.whole
    assert problem in judged.problems
    assert len(judged.spans) == len(spans)


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"before{SECRET.upper()}after",
        quote(SECRET),
        quote_plus(SECRET),
        quote(quote(SECRET, safe="")),
        json.dumps({"name": SECRET}),
        json.dumps({"name": SECRET}, ensure_ascii=False),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"users:{SECRET}!".encode()).decode(),
        base64.urlsafe_b64encode(f"another:{SECRET}?".encode()).decode(),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"name": text},
        lambda text: {"status_message": text},
        lambda text: {"attributes": {"url.query": text}},
        lambda text: {"attributes": {text: 1}},
        lambda text: {"attributes": {"tags": ["x", {"y": text}]}},
        lambda text: {"resource": {"host": text.encode()}},
        lambda text: {"events": ((text, {}),)},
        lambda text: {"events": (("exception", {"stack": text}),)},
    ],
)
def test_a_planted_value_is_found_wherever_and_however_it_stands(place: Any, text: str):
    marked = {"name of the mother": SECRET, "another": "not there at all"}
    found = contains_any(marked, spans=[span("a", **place(text))])
    assert {leak.marked for leak in found} == {"name of the mother"}
    assert not contains_any(marked, texts=[("a report", str(found))])


def test_a_log_line_is_searched_too_and_named():
    texts = [("access log, line 1", '{"path": "/v1/persons"}'), ("access log, line 2", f"GET /?q={quote(SECRET)}")]
    assert contains_any({"name": SECRET}, texts=texts) == (Leak("name", "access log, line 2"),)


def test_a_short_value_proves_nothing_and_is_refused():
    with pytest.raises(SuiteFault, match="shorter than 6 characters"):
        contains_any({"pin": "1234"})
