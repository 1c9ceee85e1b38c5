"""What a governance body says, until when, and that it no longer says so."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from conformance.model.errors import UsageError
from conformance.model.record import Waiver
from conformance.model.requirements import Role
from conformance.model.verdict import Verdict
from conformance.report.trust.certificates import (
    STATUS_PAYLOAD,
    Certificate,
    issue_certificate,
    open_certificate,
    open_status_list,
    revoked_list,
)
from conformance.report.trust.sealed import Distrust, seal
from conformance.report.trust.signing import STATEMENT_PAYLOAD

from .makers import AT, GOVERNANCE, LABORATORY, SIGNED, STRANGER, TRUSTED, VENDOR, bundle_of, run_record, signed, trust

BUNDLE = signed(run_record().to_json())
LAST = date(2027, 11, 3)
CONTENT = issue_certificate(BUNDLE, GOVERNANCE, expires=LAST, conditions=["in test use"], at=SIGNED).to_bytes()
FLIPS = 3000


def test_a_certificate_says_what_was_certified() -> None:
    found = open_certificate(CONTENT, TRUSTED)
    assert found.record == BUNDLE.record_digest
    assert found.sealed.by == "Ministry of Digital Affairs (governance)"
    facts = found.facts
    assert facts["subject"]["name"] == "birth-registry"
    assert facts["subject"]["version"] == "1.2"
    assert facts["profile"] == "mesh"
    assert facts["suite"]["catalogue_digest"].startswith("sha256:")
    assert facts["outcome"] == "conformant"
    assert facts["conditions"] == ["in test use"]
    assert found.expires == LAST
    assert found.flaws(AT) == []


def test_it_is_good_to_the_end_of_its_last_day() -> None:
    found = open_certificate(CONTENT, TRUSTED)
    assert found.flaws(datetime(2027, 11, 3, 23, 59, 59, tzinfo=UTC)) == []
    assert "has expired on 2027-11-03" in found.flaws(datetime(2027, 11, 4, tzinfo=UTC))[0]
    assert "has not come yet" in found.flaws(datetime(2026, 11, 3, 14, tzinfo=UTC))[0]


def test_one_changed_bit_is_found() -> None:
    for place in random.Random(1729).sample(range(len(CONTENT) * 8), FLIPS):  # noqa: S311 -- no secret
        changed = bytearray(CONTENT)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(Distrust):
            open_certificate(bytes(changed), TRUSTED)


def test_another_role_or_an_unknown_key_certifies_nothing() -> None:
    with pytest.raises(UsageError, match="a certificate is signed in the role governance"):
        issue_certificate(BUNDLE, LABORATORY, expires=LAST, conditions=[])
    statement = {"_type": "x", "predicateType": "urn:meshmark:predicate:certificate:1", "predicate": {}, "subject": []}
    with pytest.raises(Distrust, match="in the wrong role: governance is needed"):
        open_certificate(seal(statement, STATEMENT_PAYLOAD, LABORATORY).to_bytes(), TRUSTED)
    with pytest.raises(Distrust, match="lacks what a certificate says"):
        open_certificate(seal(statement, STATEMENT_PAYLOAD, GOVERNANCE).to_bytes(), TRUSTED)
    by_stranger = issue_certificate(BUNDLE, STRANGER, expires=LAST, conditions=[])
    with pytest.raises(Distrust, match="unknown key"):
        open_certificate(by_stranger.to_bytes(), TRUSTED)


def test_a_signature_on_a_bundle_is_no_certificate() -> None:
    envelope = signed(run_record().to_json(), GOVERNANCE).signatures[GOVERNANCE.public.id]
    with pytest.raises(Distrust, match="is no certificate"):
        open_certificate(envelope, TRUSTED)
    with pytest.raises(Distrust, match="holds a document of the type"):
        open_status_list(CONTENT, TRUSTED, AT)


def test_it_lasts_no_longer_than_the_waivers_on_which_it_rests() -> None:
    waiver = Waiver("MTLS-001", "mended in 1.3", "Jane Mwangi", date(2027, 1, 31))
    bundle = bundle_of(run_record({"MTLS-001": Verdict.FAIL}, waivers=[waiver]).to_json())
    with pytest.raises(UsageError, match="good until 2027-01-31, and no longer"):
        issue_certificate(bundle, GOVERNANCE, expires=date(2027, 2, 1), conditions=[], at=SIGNED)
    made = issue_certificate(bundle, GOVERNANCE, expires=date(2027, 1, 31), conditions=[], at=SIGNED)
    (named,) = open_certificate(made.to_bytes(), TRUSTED).facts["waivers"]
    assert named == {"check": "MTLS-001", "owner": "Jane Mwangi", "expires": "2027-01-31"}


def test_a_certificate_for_the_past_is_not_issued() -> None:
    with pytest.raises(UsageError, match="is past"):
        issue_certificate(BUNDLE, GOVERNANCE, expires=date(2026, 11, 2), conditions=[], at=SIGNED)


# ---------------------------------------------------------------------- withdrawn


def other() -> tuple[bytes, Certificate]:
    made = issue_certificate(BUNDLE, GOVERNANCE, expires=LAST, conditions=["another"], at=SIGNED).to_bytes()
    return made, open_certificate(made, TRUSTED)


def test_a_status_list_grows_and_names_each_certificate_once() -> None:
    later = datetime.now(UTC) + timedelta(minutes=1)
    content, second = other()
    first = open_certificate(CONTENT, TRUSTED)
    once = revoked_list(None, CONTENT, "the vendor is gone", GOVERNANCE).to_bytes()
    sealed, withdrawn = open_status_list(once, TRUSTED, later)
    assert sealed.key.role is Role.GOVERNANCE
    assert withdrawn == {first.id: "the vendor is gone"}
    twice = revoked_list(once, content, "replaced", GOVERNANCE).to_bytes()
    again = revoked_list(twice, CONTENT, "for another reason", GOVERNANCE).to_bytes()
    assert open_status_list(again, TRUSTED, later)[1] == {first.id: "the vendor is gone", second.id: "replaced"}


def test_a_status_list_of_others_is_neither_believed_nor_changed() -> None:
    later = datetime.now(UTC) + timedelta(minutes=1)
    listed = revoked_list(None, CONTENT, "withdrawn", GOVERNANCE).to_bytes()
    with pytest.raises(UsageError, match="unknown key"):
        revoked_list(listed, CONTENT, "withdrawn", STRANGER)
    with pytest.raises(UsageError, match="a status list is signed in the role governance"):
        revoked_list(None, CONTENT, "withdrawn", VENDOR)
    with pytest.raises(Distrust, match="unknown key"):
        open_status_list(listed, trust(VENDOR), later)
    with pytest.raises(Distrust, match="in the wrong role"):
        open_status_list(seal({"schema": "x", "revoked": []}, STATUS_PAYLOAD, VENDOR).to_bytes(), TRUSTED, later)
    with pytest.raises(Distrust, match="has not come yet"):
        open_status_list(listed, TRUSTED, AT)
