"""The event loop on which a mesh lives, in a thread of its own.

pytest runs items one by one in the main thread; the control plane, the witness and background traffic must go on
meanwhile, and between items too.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["MeshThread"]

T = TypeVar("T")


class MeshThread:
    """Runs coroutines on its own loop for callers in other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="meshmark mesh", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine and return at once."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. An interrupt of the waiting thread cancels it and waits for its clean-up."""
        return self.wait_for(self.submit(work))

    def wait_for(self, future: concurrent.futures.Future[T]) -> T:
        """The result of what was submitted, else as `run`."""
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            concurrent.futures.wait([future])
            raise

    def close(self) -> None:
        """End the loop and its thread, cancelling what is left."""

        async def cancel_the_rest() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self.run(cancel_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
