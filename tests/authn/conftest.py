from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from authn_parts import EVERYTHING, Asking, change

from conformance.authn import AuthenticationService
from conformance.protobuf.listen import UnixListen


@pytest.fixture
def listen(folder: Path) -> UnixListen:
    return UnixListen(folder / "authn.sock")


@pytest.fixture
async def service(folder: Path, listen: UnixListen) -> AsyncIterator[AuthenticationService]:
    """Runs, and knows the policies of `authn_parts` as version 1."""
    service = AuthenticationService(decision_log=folder / "decisions.log")
    await service.apply(change(1, *EVERYTHING))
    await service.start(listen)
    yield service
    await service.close()


@pytest.fixture
async def asking(listen: UnixListen) -> AsyncIterator[Asking]:
    asking = Asking(listen.path)
    yield asking
    await asking.close()
