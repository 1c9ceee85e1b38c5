"""Evidence takes the form that a person reads most easily."""

from __future__ import annotations

from conformance.report.evidence import MOST_ROWS, Facts, Lines, Table, blocks

from . import records


def test_an_exchange_reads_as_request_and_response() -> None:
    facts, request, response, log = blocks(records.KNOWN_CALLER.observed)
    assert facts == Facts("", (("duration_s", "0.0071"), ("failure", "none"), ("http_version", "HTTP/2")))
    assert isinstance(log, Facts)
    assert log.caption == "access_log"
    assert isinstance(request, Lines)
    assert request.text.splitlines()[0] == "POST https://birth-registry.mesh.test/v1/births?draft=false"
    assert request.text.splitlines()[-2:] == ["", '{"child": {"family_name": "Nkemelu", "given_names": ["Adaeze"]}}']
    assert isinstance(response, Lines)
    assert response.text.splitlines()[:2] == ["HTTP 201", "content-type: application/json"]


def test_handshake_facts_are_spelled_in_words() -> None:
    (facts,) = blocks(records.ANONYMOUS_CALLER.observed)
    assert isinstance(facts, Facts)
    assert dict(facts.pairs) | {"alert": "none", "completed": "yes", "tls": "TLSv1.3"} == dict(facts.pairs)


def test_statistics_before_and_after_become_a_table_of_changes() -> None:
    (table,) = blocks(records.COUNTERS.observed)
    assert isinstance(table, Table)
    assert table.columns == ("name", "before", "after", "change")
    assert ("listener.inbound.ssl.handshake", "4", "6", "+2") in table.rows
    assert ("listener.inbound.ssl.fail_verify_no_cert", "0", "0", "0") in table.rows


def test_statistics_that_appeared_meanwhile_have_no_change() -> None:
    (table,) = blocks({"before": {}, "after": {"new": 3}})
    assert isinstance(table, Table)
    assert table.rows == (("new", "", "3", ""),)


def test_log_lines_stay_lines() -> None:
    _, lines = blocks(records.LOG.observed)
    assert isinstance(lines, Lines)
    assert lines.text.count("\n") == 1


def test_things_of_one_kind_become_a_table_that_begins_with_their_names() -> None:
    _, table, slice_ = (
        blocks(records.STEPS.observed) if len(blocks(records.STEPS.observed)) == 3 else (None, None, None)
    )
    assert isinstance(table, Table)
    assert table.columns[:2] == ("server", "version")
    assert isinstance(slice_, Lines)
    assert slice_.text.startswith("{\n")


def test_named_things_of_one_kind_keep_their_names() -> None:
    (table,) = blocks({"hosts": {"b": {"calls": 2}, "a": {"calls": 1}}})
    assert table == Table("hosts", ("name", "calls"), (("a", "1"), ("b", "2")))


def test_things_with_too_many_properties_for_a_table_become_lines_of_json() -> None:
    (lines,) = blocks({"calls": [{f"property{number}": number for number in range(9)}]})
    assert isinstance(lines, Lines)
    assert lines.text.startswith('{"property0": 0, ')


def test_a_message_of_a_form_that_nobody_foresaw_is_shown_all_the_same() -> None:
    (lines,) = blocks({"response": {"status": 200, "headers": "none kept"}})
    assert lines == Facts("response", (("headers", "none kept"), ("status", "200")))
    (other,) = blocks({"response": {"status": 200, "headers": {}, "alpn": {"h2": True}}})
    assert isinstance(other, Lines)
    assert '"alpn"' in other.text


def test_what_is_too_long_says_how_much_is_missing() -> None:
    lines, table = blocks({"a_lines": ["x"] * (MOST_ROWS + 1), "b_rows": [{"n": 1}] * (MOST_ROWS + 1_200)})
    assert lines.left_out == "… 1 more line in record.json"
    assert table.left_out == "… 1,200 more rows in record.json"


def test_nothing_observed_makes_no_block() -> None:
    assert blocks({}) == []
