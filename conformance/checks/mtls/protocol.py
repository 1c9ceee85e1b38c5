"""Callers who speak another protocol at the door: no TLS at all, or one of yesterday."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.checks.mtls.refusal import EVIDENCE, INCONCLUSIVE, Refusal, fails, judge_refusal
from conformance.probe import Feature, Probe, TLSVersion


@check(
    id="MTLS-007",
    title="A request in plaintext on a port for mutual TLS is not answered",
    proves=["MTLS-R9"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller that speaks plaintext", "what arrives is HTTP where a TLS handshake should begin"),
    inconclusive=INCONCLUSIVE,
    remedy="Put the TLS transport socket on every filter chain of the listener for peers. Look for a filter "
    "chain without one, for a match on transport_protocol raw_buffer, and for a second listener on "
    "the same port.",
)
async def refuses_plaintext(probe: Probe) -> None:
    """A port that answers both with and without TLS protects nobody: whoever strips the encryption goes unnoticed.

    A client connects to the subject's security server and sends an HTTP request without any handshake (GovStack
    CFR security requirement 1). No answer may come, not even an error page; Envoy counts `connection_error` and its
    access log says `HTTP_REQUEST`. A member of the mesh is served before and afterwards.
    """
    # An Envoy that tells protocols apart before it chooses a filter chain finds none, which is as good.
    refusal = Refusal("HTTP REQUEST", "closed", ("ssl.connection_error", "no_filter_chain_match"))
    await judge_refusal(probe, probe.door.introduce_in_plaintext, refusal)


@check(
    id="MTLS-008",
    title="A handshake below TLS 1.3 is refused",
    proves=["MTLS-R10"],
    needs=[Feature.MTLS],
    evidence=EVIDENCE,
    fails=fails("A caller that offers TLS 1.2 at most", "it speaks no version of TLS below 1.3"),
    inconclusive=INCONCLUSIVE,
    remedy="Set tls_minimum_protocol_version to TLSv1_3 in the tls_params of the listener for peers; Envoy's "
    "default is TLS 1.2. If the handshake was refused for another reason, such as its ciphers, the "
    "old version is still allowed.",
)
async def refuses_old_tls(probe: Probe) -> None:
    """TLS 1.3 removed what was broken in the versions before it; a server that still speaks those can be talked down.

    A client with a member's good certificate offers TLS 1.2 at most (RFC 8446 section 4.2.1; GovStack CFR security
    requirement 1). The server answers `protocol_version` (RFC 8446 section 6.2); Envoy counts `connection_error`
    and its access log says `UNSUPPORTED_PROTOCOL`. The same member is served over TLS 1.3 before and afterwards.
    """
    refusal = Refusal("UNSUPPORTED PROTOCOL", "PROTOCOL_VERSION", ("ssl.connection_error",))
    await judge_refusal(probe, lambda: probe.door.introduce(newest_tls=TLSVersion.TLSv1_2), refusal)
