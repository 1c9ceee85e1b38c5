"""The registry as an Atom feed (RFC 4287): one entry for each bundle, newest first."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from datetime import UTC

from conformance.model.verdict import Outcome
from conformance.report.comparison import OUTCOME_CLAUSES
from conformance.report.language import current
from conformance.report.registry.entries import Entry
from conformance.report.registry.register import Register
from conformance.report.text import one_line

__all__ = ["MOST_ENTRIES", "render_feed"]

ATOM = "http://www.w3.org/2005/Atom"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
NAMES = uuid.uuid5(uuid.NAMESPACE_OID, "meshmark registry")
MOST_ENTRIES = 200
ELSEWHEN = "1970-01-01T00:00:00Z"
"""When a registry without a bundle was last changed: the element must be there."""


def render_feed(register: Register) -> bytes:
    """The feed. Links are relative to it, so it can lie anywhere."""
    ET.register_namespace("", ATOM)
    entries = register.entries[:MOST_ENTRIES]
    feed = ET.Element(f"{{{ATOM}}}feed", {LANGUAGE: current().code})
    _add(feed, "id", f"urn:uuid:{uuid.uuid5(NAMES, register.title)}")
    _add(feed, "title", one_line(register.title, 200))
    _add(feed, "updated", _instant(entries[0]) if entries else ELSEWHEN)
    _add(_add(feed, "author"), "name", "meshmark")
    _add(feed, "link", rel="self", href="feed.xml", type="application/atom+xml")
    _add(feed, "link", rel="alternate", href="index.html", type="text/html")
    for each in entries:
        entry = _add(feed, "entry")
        _add(entry, "id", f"urn:uuid:{uuid.uuid5(NAMES, each.record)}")
        _add(entry, "title", one_line(_title(each), 300))
        _add(entry, "updated", _instant(each))
        _add(entry, "link", rel="alternate", href=f"bundles/{each.record}/index.html", type="text/html")
        place = f"bundles/{each.record}/{each.download}"
        _add(entry, "link", rel="enclosure", href=place, type="application/zip", length=str(each.size))
        _add(entry, "category", term=each.outcome)
        _add(entry, "summary", one_line(each.told))
    ET.indent(feed)
    content: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _add(parent: ET.Element, name: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
    element.text = text
    return element


def _title(entry: Entry) -> str:
    return f"{entry.subject['name']} {entry.subject['version']}: {OUTCOME_CLAUSES[Outcome(entry.outcome)]}"


def _instant(entry: Entry) -> str:
    return entry.ended.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
