"""Honest bundles of the real catalogue, made without a run, and keys to sign them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import conformance
from conformance.checks.catalogue import complete_catalogue
from conformance.model.catalogue_facts import catalogue_digest, catalogue_facts
from conformance.model.check import Topology
from conformance.model.record import PlanEntry, RunRecord, Waiver, apply_waivers, plan_checks
from conformance.model.requirements import Feature, Role
from conformance.model.timeouts import Timeouts
from conformance.model.verdict import Evidence, EvidenceKind, Expectation, Result, Verdict, judge_outcome, totals_of
from conformance.report.bundle import Bundle, make_bundle
from conformance.report.material import Material
from conformance.report.trust.keys import PublicKey, SigningKey, new_key
from conformance.report.trust.known_catalogue import KnownCatalogue
from conformance.report.trust.signing import sign_bundle
from conformance.report.trust.verification import Verification, verify_bundle

STARTED, FINISHED = "2026-11-03T14:02:05.000Z", "2026-11-03T14:03:41.500Z"
SIGNED = "2026-11-03T14:10:00.000Z"
AT = datetime(2026, 11, 4, 12, tzinfo=UTC)
CONTRACT = b"openapi: 3.1.0\n"
FILES = {"birth-registry.meshmark.yaml": b"subject: {}\n", "contract.yaml": CONTRACT}

VENDOR = new_key("ed25519", "Example Registries Ltd", Role.VENDOR)
LABORATORY = new_key("p256", "National Test Laboratory", Role.LABORATORY)
GOVERNANCE = new_key("ed25519", "Ministry of Digital Affairs", Role.GOVERNANCE)
STRANGER = new_key("ed25519", "Somebody", Role.GOVERNANCE)


def trust(*keys: SigningKey) -> dict[str, PublicKey]:
    return {key.public.id: key.public for key in keys}


TRUSTED = trust(VENDOR, LABORATORY, GOVERNANCE)


@cache
def known() -> KnownCatalogue:
    return KnownCatalogue.of(catalogue_facts(complete_catalogue()), conformance.__version__)


def result(entry: PlanEntry, verdict: Verdict) -> Result:
    """A result as a run would have it."""
    check = entry.check
    if not entry.run:
        return entry.unrun_result()
    if verdict is Verdict.NOT_RUN:
        return entry.unrun_result("the run was interrupted")
    broken = {Verdict.FAIL: check.fails, Verdict.INCONCLUSIVE: check.inconclusive}.get(verdict)
    code = next(iter(broken)) if broken else ""
    judged = [Expectation(each, text, "seen", met=True) for each, text in check.fails.items() if each != code]
    return Result(
        check=check.id,
        title=check.title,
        level=entry.level,
        proves=check.proves,
        verdict=verdict,
        reason=code or ("as-expected" if verdict is Verdict.PASS else "crash"),
        expectations=(*judged, *([Expectation(code, broken[code], "not so", met=False)] if broken else [])),
        evidence=tuple(
            Evidence(name, EvidenceKind.NOTE, {"of": check.id, "name": name}, STARTED) for name in check.evidence
        ),
        started=STARTED,
    )


def run_record(
    verdicts: Mapping[str, Verdict] | None = None,
    *,
    profile: str = "mesh",
    features: Sequence[Feature] = (Feature.BEARER_TOKENS,),
    waivers: Sequence[Waiver] = (),
    only: frozenset[str] | None = None,
) -> RunRecord:
    catalogue = complete_catalogue()
    asked = catalogue.profiles[profile]
    plan = plan_checks(catalogue, asked, declared=frozenset(features), topology=Topology.INTER_PROXY, only=only)
    results = tuple(result(entry, (verdicts or {}).get(entry.check.id, Verdict.PASS)) for entry in plan)
    proven = {requirement for entry in plan for requirement in entry.check.proves}
    return RunRecord(
        suite={
            "name": "meshmark",
            "version": conformance.__version__,
            "catalogue_digest": catalogue_digest(catalogue),
        },
        subject={
            "role": "building-block",
            "name": "birth-registry",
            "vendor": "Example Registries Ltd",
            "version": "1.2",
            "contracts": [{"path": "contract.yaml", "sha256": hashlib.sha256(CONTRACT).hexdigest()}],
        },
        profile=profile,
        features=tuple(sorted(feature.value for feature in features)),
        plan=plan,
        results=results,
        waivers=apply_waivers(waivers, results, date(2026, 11, 3), signed_by=asked.waivers_signed_by),
        environment={
            "envoy_version": "1.40.0",
            "envoy_digest": "sha256:" + "91" * 32,
            "runtime": "process",
            "runtime_reason": "",
            "hosts": "shared",
            "python": "3.11.2",
            "os": "Linux",
        },
        timeouts=Timeouts().to_json(),
        seed=1,
        started=STARTED,
        finished=FINISHED,
        run_file="birth-registry.meshmark.yaml",
        requirements=tuple(
            replace(each, unchecked=None if each.id in proven else each.unchecked or "no check proves it")
            for each in catalogue.requirements.values()
            if each.id in proven or asked.level_of(each)
        ),
    )


def bundle_of(record: Mapping[str, Any]) -> Bundle:
    return make_bundle(Material(record, FILES))


def signed(record: Mapping[str, Any], *keys: SigningKey, at: str = SIGNED) -> Bundle:
    bundle = bundle_of(record)
    for key in keys or (LABORATORY,):
        bundle = sign_bundle(bundle, key, at=at)
    return bundle


def forged(change: Callable[[dict[str, Any]], None], **options: Any) -> dict[str, Any]:
    """A record that was changed, with totals and outcome that fit the change: all that its signer can lie about."""
    record = json.loads(json.dumps(run_record(**options).to_json()))
    change(record)
    waived = {each["check"] for each in record["waivers"] if each["state"] == "applied"}
    totals = totals_of([Verdict(each["verdict"]) for each in record["results"]])
    record["totals"] = totals | {"waived": len(waived), "planned": len(record["plan"])}
    record["outcome"] = judge_outcome(
        [Result.from_json({**each, "evidence": []}) for each in record["results"]],
        waived=frozenset(waived),
        waiver_problems=any(each["state"] != "applied" for each in record["waivers"]),
        interrupted=record["interrupted"],
    ).value
    return record


def verified(
    bundle: Bundle, *, trusted: Mapping[str, PublicKey] = TRUSTED, at: datetime = AT, **more: Any
) -> Verification:
    return verify_bundle(bundle, trusted, more.pop("catalogue", known()), at=at, **more)
