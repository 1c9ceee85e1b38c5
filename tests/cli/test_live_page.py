"""The live page in a real browser: it follows what happens, with scripts and without, in any light and width."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser import Browser, browser
from prometheus_client.parser import text_string_to_metric_families
from running_mesh import RunningMesh, mesh_up, status
from workplace import FIXTURES, Workplace

from conformance.system.deadlines import until

CLOSED = (FIXTURES / "policies" / "death-registry.yaml").read_text("utf-8").replace("registration-office", "citizen-id")

FAINT = """
(() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [red, green, blue] = parts(colour).map(channel);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  while (words.nextNode()) {
    const element = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const [brighter, darker] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
    if ((brighter + 0.05) / (darker + 0.05) < 4.5) faint.push(words.currentNode.data);
  }
  return faint;
})()
"""
"""Text whose contrast is below that of WCAG 2.2, 1.4.3."""


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path) as opened:
        yield opened


async def sees(window: Browser, *words: str) -> None:
    """The page shows all of this, without being loaded anew by anybody."""
    await until(
        lambda: all(each in window.text() for each in words),
        what=f"the page shows {words}",
        timeout=60,
        last_seen=window.text,
    )


async def test_the_page_follows_a_change_of_policies(reference: RunningMesh, window: Browser):
    window.look()
    window.open(reference.page)
    await sees(window, "live", "All 5 security servers have applied the policies")
    window.value("document.documentElement.mark = 'not loaded anew'")
    assert "citizen-id\nGET /v1/deaths" not in window.text()

    file = reference.workplace.write("closed.yaml", CLOSED)
    assert reference.policy("apply", file, "--wait", "--note", "only citizens").code == 0
    await sees(
        window, "citizen-id\nGET /v1/deaths", "only citizens", "All 5 security servers have applied the policies"
    )

    refused = next(each for each in reference.shown() if each.expect == "403")
    assert status(refused.command) == "403"
    allowed = next(each for each in reference.shown() if each.expect == "200")
    assert status(allowed.command) == "200"
    await sees(window, "● allowed", "GET /v1/births")
    assert window.value("document.documentElement.mark") == "not loaded anew"
    assert window.complaints == []


async def test_the_page_follows_without_scripts_too(reference: RunningMesh, window: Browser):
    window.scripts(allowed=False)
    window.open(reference.page)
    await sees(window, "All 5 security servers have applied the policies")
    text = (FIXTURES / "policies" / "patient-registry.yaml").read_text("utf-8")
    file = reference.workplace.write("patients.yaml", text + "timeout_s: 7\n")
    assert reference.policy("apply", file, "--wait", "--note", "seven seconds").code == 0
    await sees(window, "seven seconds")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
async def test_the_page_can_be_read_in_any_light_and_width(
    scheme: str, width: int, reference: RunningMesh, window: Browser
):
    window.look(width=width, scheme=scheme)
    window.open(reference.page)
    await sees(window, "All 5 security servers have applied the policies", "live")
    assert window.value("document.documentElement.scrollWidth") <= width
    assert window.value(FAINT) == []
    assert window.complaints == []


async def test_the_page_is_well_built_for_those_who_hear_it(reference: RunningMesh, window: Browser):
    window.open(reference.page)
    await sees(window, "All 5 security servers have applied the policies")
    assert window.value("document.documentElement.lang") == "en"
    assert window.value("document.querySelectorAll('h1').length") == 1
    assert window.value("document.querySelectorAll('table th:not([scope])').length") == 0
    assert window.value("document.getElementById('liveness').getAttribute('role')") == "status"
    ids = window.value("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))
    named = window.value(
        "[...document.querySelectorAll('[aria-labelledby]')].map((each) => each.ariaLabelledByElements?.length)"
    )
    assert set(named) == {1}


async def test_the_page_says_that_the_mesh_has_ended(workplace: Workplace, window: Browser):
    with mesh_up(workplace, "--services", "citizen-id") as running:
        window.open(running.page)
        await sees(window, "All 5 security servers have applied the policies", "live")
        assert running.end().code == 0
    await sees(window, "the mesh does not answer; this is how it stood last", "All 5 security servers")


# ---------------------------------------------------------------------- the server


def test_nobody_reads_the_page_under_another_name(reference: RunningMesh):
    port = httpx.URL(reference.page).port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        for path in ("", "status.json", "metrics", "nothing"):
            answer = httpx.get(f"{reference.page}{path}", headers={"host": host})
            assert (answer.status_code, len(answer.text)) == (421, 59), (host, path)
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert httpx.get(reference.page, headers={"host": host}).status_code == 200


def test_nothing_can_be_changed_there(reference: RunningMesh):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = httpx.request(method, f"{reference.page}status.json")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"
    assert httpx.head(reference.page).status_code == 200
    assert httpx.get(f"{reference.page}nothing").status_code == 404


def test_nothing_but_the_page_itself_can_run_in_it(reference: RunningMesh):
    answer = httpx.get(reference.page)
    assert "'unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


def test_no_secret_is_shown(reference: RunningMesh):
    shown = httpx.get(reference.page).text + httpx.get(f"{reference.page}status.json").text
    assert "PRIVATE KEY" not in shown
    assert str(reference.certificates.parent) not in shown
    key = reference.certificates.joinpath("operator.pem").read_text("utf-8").splitlines()[-5]
    assert key not in shown


def test_what_a_caller_writes_is_text(
    reference: RunningMesh,
):
    status_before = httpx.get(f"{reference.page}status.json").json()
    (office,) = [each for each in status_before["security_servers"] if each["name"] == "registration-office"]
    written = "%3Cscript%3E<script>alert(1)</script>"
    httpx.get(f"http://{office['outbound']}/birth-registry/v1/births/{written}")
    decisions = httpx.get(f"{reference.page}status.json").json()["decisions"]
    assert any("script" in each["operation"] for each in decisions)
    assert "<script>alert" not in httpx.get(reference.page).text


def test_programs_get_the_same_as_json(reference: RunningMesh):
    answer = httpx.get(f"{reference.page}status.json")
    assert answer.headers["content-type"] == "application/json"
    found = json.loads(answer.text)
    assert found["mesh"]["name"] == "reference"
    assert {each["state"] for each in found["security_servers"]} == {"applied"}
    assert (
        found["versions"]["control_plane"] == found["versions"]["store"] == found["versions"]["history"][0]["version"]
    )
    assert sorted(each["name"] for each in found["services"]) == [
        "birth-registry",
        "citizen-id",
        "death-registry",
        "patient-registry",
    ]
    assert {each["building_block"] for each in found["services"]} == {"running"}
    assert len(found["clients"]) == 5


def test_a_monitoring_system_gets_all_three_kinds_of_metrics(reference: RunningMesh):
    assert status(f"curl {reference.page}metrics") == "200"
    families = {each.name: each for each in text_string_to_metric_families(httpx.get(f"{reference.page}metrics").text)}
    (connected,) = families["meshmark_controlplane_connected_proxies"].samples
    assert connected.value == 5
    answered = families["meshmark_controlplane_answers"].samples
    assert {sample.labels["outcome"] for sample in answered} == {"acknowledged"}
    assert families["meshmark_authn_policies_version"].samples[0].value >= 2
    assert families["policy_admin_version"].samples[0].value >= 2
    applied = [sample for sample in families["policy_admin_proxies"].samples if sample.labels["state"] == "applied"]
    assert applied[0].value == 5
