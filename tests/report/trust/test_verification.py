"""What the verifier believes, and every reason for which it does not."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from conformance.model.canonical import canonical, digest
from conformance.model.errors import UsageError
from conformance.model.record import Waiver
from conformance.model.requirements import Feature, Role
from conformance.model.verdict import Verdict
from conformance.report import bundle as bundles
from conformance.report.bundle import Bundle, parse_bundle
from conformance.report.language import languages, speaking
from conformance.report.record_file import contradictions
from conformance.report.trust.keys import PublicKey
from conformance.report.trust.signing import sign_bundle
from conformance.report.trust.waivers import open_waiver, seal_waiver

from . import makers
from .makers import AT, GOVERNANCE, LABORATORY, SIGNED, STRANGER, TRUSTED, VENDOR, forged, run_record, signed, verified

FLIPS = 4000
HONEST = signed(run_record().to_json(), VENDOR, LABORATORY)
SUBJECT = {"name": "birth-registry", "vendor": "Example Registries Ltd", "version": "1.2"}


def refusal(bundle: Bundle, **options: Any) -> str:
    found = verified(bundle, **options)
    assert not found.verified
    assert not found.conformant
    return "\n".join(found.refusals)


# ---------------------------------------------------------------------- what is right


def test_an_honest_bundle_is_verified_and_says_who_signed_it() -> None:
    found = verified(HONEST)
    assert found.refusals == ()
    assert found.verified
    assert found.conformant
    assert {(each.name, each.role, each.at) for each in found.signatures} == {
        (VENDOR.name, Role.VENDOR, "2026-11-03T14:10:00Z"),
        (LABORATORY.name, Role.LABORATORY, "2026-11-03T14:10:00Z"),
    }
    assert found.to_json()["outcome"] == "conformant"


@pytest.mark.parametrize(
    "verdicts",
    [
        {"MTLS-001": Verdict.FAIL},
        {"MTLS-001": Verdict.ERROR},
        {"MTLS-001": Verdict.INCONCLUSIVE},
        {"MTLS-001": Verdict.NOT_RUN},
    ],
    ids=str,
)
def test_a_bundle_can_be_verified_and_its_subject_not_conformant(verdicts: dict[str, Verdict]) -> None:
    found = verified(signed(run_record(verdicts).to_json()))
    assert found.refusals == ()
    assert not found.conformant


@pytest.mark.parametrize("profile", ["mesh", "govstack"])
@pytest.mark.parametrize("features", [(), (Feature.BEARER_TOKENS, Feature.FAILOVER)])
def test_every_plan_that_the_suite_makes_is_complete(profile: str, features: tuple[Feature, ...]) -> None:
    assert verified(signed(run_record(profile=profile, features=features).to_json())).refusals == ()


def test_a_selection_of_checks_is_verified_and_proves_nothing() -> None:
    found = verified(signed(run_record(only=frozenset({"MTLS-001"})).to_json()))
    assert found.refusals == ()
    assert found.record is not None
    assert found.record["outcome"] == "incomplete"


def test_a_bundle_read_back_is_the_same() -> None:
    assert verified(parse_bundle(HONEST.to_bytes(), "bundle")) == verified(HONEST)


def test_what_was_left_out_for_its_size_is_said_and_the_rest_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    record = run_record().to_json()
    large = check_of(record, "results")["evidence"][0]
    large["observed"] = {"body": "x" * 5000}
    large["sha256"] = digest(large["observed"])
    monkeypatch.setattr(bundles, "LARGEST_OBSERVATION", 4000)
    bundle = signed(record)
    assert [each["check"] for each in bundle.manifest["left_out"]] == ["MTLS-001"]
    found = verified(bundle)
    assert found.refusals == ()
    assert any(each.startswith("1 observation was left out") for each in found.remarks)


def test_what_cannot_be_checked_is_said() -> None:
    record = run_record().to_json()
    record["subject"]["contracts"].append({"path": "more.yaml", "sha256": "0" * 64})
    assert any("'more.yaml' is not in the bundle" in each for each in verified(signed(record)).remarks)


@pytest.mark.parametrize("code", languages())
def test_a_bundle_is_verified_whichever_language_its_reports_speak_and_whichever_is_spoken_now(code: str) -> None:
    with speaking(code):
        bundle = signed(run_record().to_json())
    assert f'<html lang="{code}"'.encode() in bundle.content["reports/report.html"]
    for other in languages():
        with speaking(other):
            assert verified(bundle).refusals == ()
            changed = rebuilt(lambda content: content.update({"reports/report.html": b"<p>conformant"}), bundle)
            assert verified(changed).refusals == (
                "'reports/report.html' is not what the record says: render it anew, and do not read this one.",
            )


def test_reports_in_two_languages_are_not_those_of_one_record() -> None:
    with speaking("de"):
        german = signed(run_record().to_json()).content["reports/report.html"]
    assert "'reports/report.html' is not" in refusal(
        rebuilt(lambda content: content.update({"reports/report.html": german}))
    )


# ---------------------------------------------------------------------- bits


def test_one_changed_bit_anywhere_in_a_signed_bundle_is_found() -> None:
    content = signed(run_record(only=frozenset({"MTLS-001"})).to_json(), VENDOR, LABORATORY).to_bytes()
    draw = random.Random(1729)  # noqa: S311 -- no secret
    # Everywhere, and as often in the small part that only signatures protect.
    start = content.index(b"signatures/")
    places = draw.sample(range(len(content) * 8), FLIPS // 2)
    places += draw.sample(range(start * 8, content.index(b"PK\x01\x02") * 8), FLIPS // 2)
    for place in places:
        byte, bit = divmod(place, 8)
        changed = bytearray(content)
        changed[byte] ^= 1 << bit
        try:
            bundle = parse_bundle(bytes(changed), "bundle")
        except UsageError:
            continue
        assert verified(bundle).refusals, (byte, bit)


# ---------------------------------------------------------------------- signatures


def test_an_unsigned_bundle_is_refused() -> None:
    assert "Nobody who is trusted has signed it" in refusal(makers.bundle_of(run_record().to_json()))


def test_a_signature_by_an_unknown_key_is_refused() -> None:
    said = refusal(signed(run_record().to_json(), LABORATORY, STRANGER))
    assert "is signed by an unknown key" in said
    assert "Somebody (governance)" in said


def test_a_signature_in_the_wrong_role_is_refused() -> None:
    as_vendor = replace(LABORATORY.public, role=Role.VENDOR)
    said = refusal(signed(run_record().to_json()), trusted={as_vendor.id: as_vendor})
    assert "in the wrong role, 'laboratory': it is trusted as vendor" in said


def test_a_signature_in_another_name_is_refused() -> None:
    renamed = PublicKey(LABORATORY.public.key, "Another Laboratory", Role.LABORATORY)
    assert "in the name of 'National Test Laboratory'" in refusal(
        signed(run_record().to_json()), trusted={renamed.id: renamed}
    )


def test_a_role_that_is_asked_for_must_have_signed() -> None:
    assert verified(HONEST, roles=[Role.VENDOR, Role.LABORATORY]).verified
    assert "has signed it in the role governance" in refusal(HONEST, roles=[Role.GOVERNANCE])


def test_the_signature_of_another_bundle_is_refused() -> None:
    other = signed(run_record({"MTLS-001": Verdict.FAIL}).to_json())
    moved = replace(other, signatures=HONEST.signatures)
    said = refusal(moved)
    assert said.count("is about another record or another bundle") == 2


def test_a_signature_under_the_id_of_another_key_is_refused() -> None:
    envelopes = dict(HONEST.signatures)
    swapped = {LABORATORY.public.id: envelopes[VENDOR.public.id], VENDOR.public.id: envelopes[LABORATORY.public.id]}
    assert refusal(replace(HONEST, signatures=swapped)).count("does not lie under the id of its key") == 2


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'"x"', b"{" * 9999, b'{"payload":"","payloadType":"","signatures":[]}']
)
def test_what_is_no_signature_is_refused(content: bytes) -> None:
    assert "is no signed envelope" in refusal(replace(HONEST, signatures={LABORATORY.public.id: content}))


def test_the_same_key_signs_once() -> None:
    with pytest.raises(UsageError, match="signed with this key already"):
        sign_bundle(HONEST, VENDOR)


# ---------------------------------------------------------------------- clocks


def test_a_signature_of_the_future_is_refused() -> None:
    bundle = signed(run_record().to_json(), at="2026-11-04T12:05:01.000Z")
    assert "which has not come yet" in refusal(bundle)
    assert verified(bundle, at=AT + timedelta(seconds=2)).verified


def test_a_signature_from_before_the_end_of_the_run_is_refused() -> None:
    assert "before its run has ended" in refusal(signed(run_record().to_json(), at="2026-11-03T13:58:41.000Z"))
    assert verified(signed(run_record().to_json(), at="2026-11-03T13:58:42.000Z")).verified


def test_a_run_that_ends_before_it_begins_is_refused() -> None:
    record = run_record().to_json() | {"started": "2026-11-03T15:00:00.000Z"}
    assert "The run ends before it begins" in refusal(signed(record))


@pytest.mark.parametrize("at", ["yesterday", "2026-11-03T14:10:00", ""])
def test_a_signature_without_a_time_is_refused(at: str) -> None:
    bundle = makers.bundle_of(run_record().to_json())
    if at:
        assert "has a time" in refusal(sign_bundle(bundle, LABORATORY, at=at))


# ---------------------------------------------------------------------- the record


def check_of(record: dict[str, Any], where: str, check: str = "MTLS-001") -> dict[str, Any]:
    return next(each for each in record[where] if each["check"] == check)


def without(check: str) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        for where in ("plan", "results"):
            record[where] = [each for each in record[where] if each["check"] != check]

    return change


def left_out(reason: str, verdict: str) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        check_of(record, "plan").update(run=False, reason=reason)
        check_of(record, "results").update(verdict=verdict, reason="excluded", expectations=[], evidence=[])

    return change


def invented(record: dict[str, Any]) -> None:
    for where in ("plan", "results"):
        record[where].append({**check_of(record, where), "check": "MTLS-999"})


def lower(record: dict[str, Any]) -> None:
    check_of(record, "plan")["level"] = check_of(record, "results")["level"] = "MAY"


def retitled(record: dict[str, Any]) -> None:
    check_of(record, "plan")["title"] = check_of(record, "results")["title"] = "Something easier"


def in_result(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda record: check_of(record, "results").update(values)


def forgotten(record: dict[str, Any]) -> None:
    named = record["requirements"]
    del named[next(each for each, about in named.items() if about["unchecked"])]


def judged(record: dict[str, Any], **values: Any) -> None:
    check_of(record, "results")["expectations"][0].update(values)


FORGERIES: list[tuple[Callable[[dict[str, Any]], None], dict[str, Any], str]] = [
    (without("MTLS-001"), {}, "The plan lacks the check MTLS-001"),
    (invented, {}, "The plan has 'MTLS-999', no check of the catalogue"),
    (lower, {}, "The plan has MTLS-001 as MAY; by the profile it is MUST"),
    (retitled, {}, "The plan has MTLS-001 under another title"),
    (left_out("not for the topology inter-proxy", "not-applicable"), {}, "for a reason that does not hold"),
    (left_out("not selected by --only", "not-applicable"), {}, "for a reason that does not hold"),
    (left_out("needs the feature mtls, optional in profile mesh and not declared", "not-applicable"), {}, "not hold"),
    (in_result(proves=["MTLS-R2"]), {}, "is said to prove other requirements"),
    (in_result(evidence=[]), {}, "passed without the evidence"),
    (in_result(expectations=[]), {}, "passed, and yet nothing was judged"),
    (lambda record: judged(record, met=False), {}, "was not met"),
    (lambda record: judged(record, expected="nothing special"), {}, "does not declare in these words"),
    (lambda record: judged(record, code="something-else"), {}, "does not declare in these words"),
    (
        in_result(reason="something-else"),
        {"verdicts": {"MTLS-001": Verdict.FAIL}},
        "without a reason that was declared",
    ),
    (in_result(verdict="not-run", reason="not-reached"), {}, "was judged, and yet its verdict is not-run"),
    (forgotten, {}, "The record lacks the requirement"),
    (lambda record: record["requirements"]["MTLS-R1"].update(text="Anything goes."), {}, "in other words"),
    (lambda record: record["requirements"]["MTLS-R1"].update(level="MAY"), {}, "at another level"),
    (lambda record: record["requirements"]["MTLS-R1"].update(unchecked="hard"), {}, "whether a check proves"),
    (lambda record: record.update(features=None), {}, "which features were declared"),
    (lambda record: record.update(features=[]), {}, "The plan runs "),
    (lambda record: record.update(profile="easy"), {}, "The profile 'easy' is not one of the catalogue"),
    (lambda record: record["suite"].update(name="other"), {}, "The suite 'other' is not known"),
    (lambda record: record["suite"].update(version="9.9"), {}, "The catalogue is not known"),
    (lambda record: record["suite"].update(catalogue_digest="sha256:" + "0" * 64), {}, "The catalogue is not known"),
    (lambda record: record["subject"]["contracts"][0].update(sha256="0" * 64), {}, "is not the one that was judged"),
]


@pytest.mark.parametrize(("change", "options", "said"), FORGERIES, ids=[said for _, _, said in FORGERIES])
def test_a_record_that_its_signer_has_forged_is_refused(
    change: Callable[[dict[str, Any]], None], options: dict[str, Any], said: str
) -> None:
    assert said in refusal(signed(forged(change, **options)))


def test_a_verdict_that_was_turned_without_more_is_refused() -> None:
    record = run_record({"MTLS-001": Verdict.FAIL}).to_json()
    turned = forged(in_result(verdict="pass", reason="as-expected"), verdicts={"MTLS-001": Verdict.FAIL})
    assert "was not met" in refusal(signed(turned))
    # Without new totals not even the record holds, whoever has signed it.
    check_of(record, "results").update(verdict="pass")
    core = canonical({**record, "results": [{**each, "evidence": []} for each in record["results"]]})
    manifest = {**HONEST.manifest, "record": digest(json.loads(core))}
    bundle = Bundle({**HONEST.content, "record.json": core}, manifest, HONEST.signatures)
    assert "The record is no sound record: totals" in refusal(bundle)


def test_a_check_that_was_to_run_cannot_be_inapplicable() -> None:
    record = forged(in_result(verdict="not-applicable"))
    assert any("was to be run, and yet its verdict is not-applicable" in each for each in contradictions(record))


# ---------------------------------------------------------------------- what is beside the record


def rebuilt(change: Callable[[dict[str, bytes]], None], honest: Bundle | None = None) -> Bundle:
    """Another content under a manifest that fits it, signed: what a signer could do."""
    honest = replace(honest, signatures={}) if honest else makers.bundle_of(run_record().to_json())
    content = dict(honest.content)
    change(content)
    files = [{"path": path, "size": len(each), "sha256": sha(each)} for path, each in content.items()]
    return sign_bundle(
        replace(honest, content=content, manifest={**honest.manifest, "files": files}), LABORATORY, at=SIGNED
    )


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def drop_evidence(content: dict[str, bytes]) -> None:
    del content[next(path for path in content if path.startswith("evidence/"))]


BESIDE: list[tuple[Callable[[dict[str, bytes]], None], str]] = [
    (drop_evidence, "and the manifest does not say that it was left out"),
    (lambda content: content.update({f"evidence/{'0' * 64}.json": b"{}"}), "is evidence of nothing in the record"),
    (lambda content: content.update({"reports/report.html": b"<p>conformant"}), "is not what the record says"),
    (lambda content: content.update({"reports/more.html": b"<p>conformant"}), "is not what the record says"),
    (lambda content: content.pop("reports/junit.xml"), "is not what the record says"),
    (lambda content: content.update({"inputs/contract.yaml": b"other"}), "is not the one that was judged"),
]


@pytest.mark.parametrize(("change", "said"), BESIDE, ids=[said for _, said in BESIDE])
def test_a_bundle_whose_signer_has_changed_what_is_beside_the_record_is_refused(
    change: Callable[[dict[str, bytes]], None], said: str
) -> None:
    assert said in refusal(rebuilt(change))


# ---------------------------------------------------------------------- waivers


def waiver(expires: date = date(2027, 1, 31), key: Any = GOVERNANCE, at: str = "2026-10-01T08:00:00.000Z") -> Waiver:
    plain = Waiver("MTLS-001", "mended in 1.3", "Jane Mwangi", expires)
    if key is None:
        return plain
    return open_waiver(
        seal_waiver(plain, {**SUBJECT, "version": "1.*"}, key, at).to_bytes(), SUBJECT, makers.trust(key)
    )


def waived(each: Waiver, profile: str = "govstack") -> dict[str, Any]:
    return run_record({"MTLS-001": Verdict.FAIL}, profile=profile, waivers=[each]).to_json()


def test_a_signed_waiver_holds() -> None:
    found = verified(signed(waived(waiver())))
    assert found.refusals == ()
    assert found.conformant
    assert found.to_json()["outcome"] == "conformant-with-waivers"


def test_an_unsigned_waiver_holds_where_the_profile_asks_for_no_signature() -> None:
    assert verified(signed(waived(waiver(key=None), "mesh"))).conformant


@pytest.mark.parametrize("key", [None, LABORATORY], ids=["unsigned", "other role"])
def test_where_the_profile_asks_for_a_signature_the_run_is_not_conformant_without(key: Any) -> None:
    record = waived(waiver(key=key))
    assert record["waivers"][0]["state"] == "unsigned"
    assert record["outcome"] == "not-conformant"
    assert verified(signed(record)).refusals == ()


@pytest.mark.parametrize(
    ("key", "said"),
    [(None, "is not signed, and the profile asks for the signature of governance"), (LABORATORY, "in the wrong role")],
    ids=["unsigned", "other role"],
)
def test_and_nobody_can_call_it_applied(key: Any, said: str) -> None:
    record = forged(
        lambda record: record["waivers"][0].update(state="applied"),
        verdicts={"MTLS-001": Verdict.FAIL},
        profile="govstack",
        waivers=[waiver(key=key)],
    )
    assert said in refusal(signed(record))


def test_a_waiver_by_a_key_that_the_verifier_does_not_know_is_refused() -> None:
    assert "The waiver for MTLS-001 is signed by an unknown key" in refusal(signed(waived(waiver(key=STRANGER))))


@pytest.mark.parametrize("name", ["reason", "owner", "expires"])
def test_a_waiver_that_says_other_than_was_signed_is_refused(name: str) -> None:
    record = waived(waiver())
    record["waivers"][0][name] = "2028-01-01" if name == "expires" else "another"
    assert "is not the one that was signed" in refusal(signed(record))


def test_a_waiver_for_another_subject_is_refused() -> None:
    record = waived(waiver())
    record["subject"]["version"] = "2.0"
    assert "is for another subject: its version has to be '1.*'" in refusal(signed(record))


def test_a_waiver_that_has_expired_is_refused() -> None:
    bundle = signed(waived(waiver(date(2026, 11, 3))))
    assert "has expired on 2026-11-03" in refusal(bundle)
    assert verified(bundle, at=AT - timedelta(hours=20)).verified
    late = waived(waiver())
    late["waivers"][0]["expires"] = "2026-11-01"
    assert "had expired on 2026-11-01, before the run" in refusal(signed(late))


def test_a_waiver_that_was_signed_after_the_run_is_refused() -> None:
    assert "was signed after the run" in refusal(signed(waived(waiver(at="2026-11-03T18:00:00.000Z"))))


def test_a_waiver_that_is_called_what_it_is_not_is_refused() -> None:
    record = forged(
        lambda record: record["waivers"][0].update(state="expired"),
        verdicts={"MTLS-001": Verdict.FAIL},
        waivers=[waiver(key=None)],
    )
    assert "is called expired, and had not" in refusal(signed(record))


def test_trust_is_the_verifiers_own() -> None:
    assert "is signed by an unknown key" in refusal(signed(waived(waiver())), trusted=makers.trust(LABORATORY))
    assert TRUSTED.keys() == {key.public.id for key in (VENDOR, LABORATORY, GOVERNANCE)}
