"""A real browser for tests: headless Chromium, told what to do over two pipes (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("chromium")


class Browser:
    """One page. What it complains about (refused by the page's policy, errors of scripts) is in `complaints`."""

    def __init__(self, commands: int, events: int) -> None:
        self._commands = commands
        self._events = events
        self._received = b""
        self._number = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go there."""
        self.tell("Page.navigate", url=url)

    def look(self, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Be a screen of this width, of somebody who prefers light or dark colours."""
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def scripts(self, allowed: bool) -> None:
        """Whether scripts run."""
        self.tell("Emulation.setScriptExecutionDisabled", value=not allowed)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives in the page."""
        found = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def text(self) -> str:
        """What a reader sees."""
        return str(self.value("document.body ? document.body.innerText : ''"))

    def picture(self, file: Path) -> None:
        """Take a picture of the whole page."""
        taken = self.tell("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        self._number += 1
        said: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            said["sessionId"] = self._session
        os.write(self._commands, json.dumps(said).encode() + b"\0")
        while True:
            heard = self._next()
            if heard.get("id") == self._number:
                assert "error" not in heard, heard
                return dict(heard["result"])
            self._note(heard)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            chunk = os.read(self._events, 1 << 16)
            assert chunk, "the browser is gone"
            self._received += chunk
        message, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, heard: dict[str, Any]) -> None:
        if heard.get("method") == "Log.entryAdded":
            self.complaints.append(heard["params"]["entry"]["text"])
        if heard.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(heard["params"]["exceptionDetails"]))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Starts one; its profile lies in `folder`."""
    if PROGRAM is None and os.environ.get("MESHMARK_REQUIRE_CHROMIUM") == "1":
        pytest.fail("MESHMARK_REQUIRE_CHROMIUM=1, but there is no chromium")
    if PROGRAM is None:
        pytest.skip("no chromium on this machine")
    commands, our_commands = os.pipe()
    our_events, events = os.pipe()
    # The protocol wants descriptors 3 and 4 in the browser.
    started = subprocess.Popen(
        [
            "bash",
            "-c",
            f'exec 3<&{commands} 4>&{events} && exec "$@"',
            "bash",
            PROGRAM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            f"--user-data-dir={folder / 'chromium'}",
            "--remote-debugging-pipe",
        ],
        pass_fds=(commands, events),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(commands)
    os.close(events)
    try:
        yield Browser(our_commands, our_events)
    finally:
        os.close(our_commands)
        os.close(our_events)
        os.killpg(started.pid, 9)
        started.wait()
