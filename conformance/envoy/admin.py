"""Envoy's administration interface, read over its unix socket: what the proxy itself knows, never what it was told.

Only reading; a call takes about a millisecond. No answer that leaves here holds a private key.
Source: https://www.envoyproxy.io/docs/envoy/latest/operations/admin
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from conformance.model.errors import EnvironmentFault
from conformance.system.calling import trusting_nobody
from conformance.system.scrub import scrubbed

__all__ = ["AdminClient", "ServerInfo"]

ANSWER_TIMEOUT_S = 10.0
VERSION = re.compile(r"/(\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class ServerInfo:
    """What `/server_info` says of the running proxy."""

    version: str
    state: str
    """`LIVE`, `DRAINING`, `PRE_INITIALIZING` or `INITIALIZING`. LIVE does not mean configured."""
    uptime_s: int
    """Seconds since this process started; it never falls unless the proxy was restarted."""
    epoch: int
    """Hot restarts so far; stays 0."""
    node: str
    """The node id under which the control plane knows it."""


class AdminClient:
    """Asks one Envoy. Every method raises EnvironmentFault, with the last log lines, when it does not answer."""

    def __init__(self, name: str, socket: Path, tail: Callable[[], str]) -> None:
        """`name` is for messages; `tail` gives the last log lines."""
        self._name = name
        self._tail = tail
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), verify=trusting_nobody()),
            base_url="http://admin",
            timeout=ANSWER_TIMEOUT_S,
        )

    async def stats(self, filter_regex: str | None = None) -> dict[str, int]:
        """Counters and gauges whose name matches (a search, no full match). An absent name does not exist there."""
        return {name: int(value) for name, value in await self._stat_lines(filter_regex, "All") if value.isdecimal()}

    async def text_readouts(self, filter_regex: str | None = None) -> dict[str, str]:
        """Values that are text, such as `...version_text`: the version of the configuration that is applied."""
        return {name: value.strip('"') for name, value in await self._stat_lines(filter_regex, "TextReadouts")}

    async def server_info(self) -> ServerInfo:
        """Version, state and uptime."""
        info = await self._json("/server_info")
        version = VERSION.search(info["version"])
        return ServerInfo(
            version=version.group(1) if version else info["version"],
            state=info["state"],
            uptime_s=int(info["uptime_current_epoch"].rstrip("s")),
            epoch=int(info["command_line_options"].get("restart_epoch", 0)),
            node=info.get("node", {}).get("id", ""),
        )

    async def listeners(self) -> dict[str, tuple[str, int]]:
        """Each listener that is in force, with the host and port that it is really bound to."""
        found: dict[str, tuple[str, int]] = {}
        for status in (await self._json("/listeners?format=json")).get("listener_statuses", []):
            address = status.get("local_address", {}).get("socket_address")
            if address:
                found[status["name"]] = (address["address"], int(address["port_value"]))
        return found

    async def clusters(self) -> list[dict[str, Any]]:
        """`cluster_statuses` of `/clusters`: each cluster with its hosts, their health and their counters."""
        return list((await self._json("/clusters?format=json")).get("cluster_statuses", []))

    async def certs(self) -> list[dict[str, Any]]:
        """The certificates in use, with serial numbers and validity."""
        return list((await self._json("/certs")).get("certificates", []))

    async def config_dump(
        self,
        resource: str | None = None,
        *,
        mask: str | None = None,
        name_regex: str | None = None,
        endpoints: bool = False,
    ) -> dict[str, Any]:
        """The configuration that is in force. Envoy redacts private keys; whatever it missed is scrubbed here.

        Args:
            resource: one field of the dump, such as `dynamic_active_clusters`.
            mask: field mask over the resource.
            name_regex: only resources whose name matches.
            endpoints: include endpoints that came by EDS.

        """
        parameters = {"resource": resource, "mask": mask, "name_regex": name_regex}
        query = [f"{key}={quote(value, safe='')}" for key, value in parameters.items() if value]
        if endpoints:
            query.append("include_eds")
        return await self._json("/config_dump?" + "&".join(query))

    async def ready(self) -> bool:
        """Whether the proxy is LIVE. It can be that without a single listener."""
        return (await self._get("/ready", refusals={503})).status_code == 200

    async def answers(self) -> bool:
        """Whether anybody listens on the socket yet; for waiting until the proxy has started."""
        try:
            await self._http.get("/ready")
        except httpx.TransportError:
            return False
        return True

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _stat_lines(self, filter_regex: str | None, type_: str) -> list[tuple[str, str]]:
        wanted = f"&filter={quote(filter_regex, safe='')}" if filter_regex else ""
        text = (await self._get(f"/stats?type={type_}{wanted}")).text
        parts = (line.partition(": ") for line in text.splitlines())
        return [(name, value) for name, separator, value in parts if separator]

    async def _json(self, path: str) -> dict[str, Any]:
        text = (await self._get(path)).text
        try:
            return dict(json.loads(scrubbed(text)))
        except ValueError as problem:
            raise self._fault(f"{path} did not answer with JSON: {text[:200]!r}") from problem

    async def _get(self, path: str, refusals: set[int] | None = None) -> httpx.Response:
        try:
            response = await self._http.get(path)
        except httpx.TransportError as problem:
            raise self._fault(f"{path} got no answer: {type(problem).__name__} {problem}".rstrip()) from problem
        if response.status_code != 200 and response.status_code not in (refusals or set()):
            raise self._fault(f"{path} was answered with {response.status_code}: {response.text[:200]}")
        return response

    def _fault(self, what: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"the administration interface of security server {self._name} failed: {what}",
            detail=self._tail() or "it has logged nothing",
            next_step="if the security server is gone, its last log lines are above; otherwise report the case",
        )
