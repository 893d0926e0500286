"""A shutdown that load balancers notice before the service stops accepting connections."""

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.core.health import Readiness

logger = logging.getLogger(__name__)


@contextmanager
def delayed_shutdown(readiness: Readiness, *, seconds: float) -> Iterator[None]:
    """On SIGTERM, report that the service is not ready, and shut down that much later.

    Until then, it serves requests. A second SIGTERM shuts down at once. This needs a server that
    handles the signal in the main thread, and sets its handler before the startup, as Uvicorn does.
    """
    shut_down: Any = signal.getsignal(signal.SIGTERM)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not (seconds and in_main_thread and callable(shut_down)):
        yield
        return
    loop = asyncio.get_running_loop()

    def on_sigterm(number: int, frame: Any) -> None:
        if readiness.is_shutting_down:
            shut_down(number, frame)
            return
        readiness.is_shutting_down = True
        logger.info("Shutting down in %s seconds: not ready any more.", seconds)
        loop.call_soon_threadsafe(loop.call_later, seconds, shut_down, number, None)

    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, shut_down)
