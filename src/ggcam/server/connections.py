"""Connections that end when their client does not send the header of a request in time."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 10.0
"""Time for the header of a request. uvicorn has a limit for idle connections alone, not for slow ones."""


class TimedConnection(H11Protocol):
    """A connection of uvicorn with a time limit for headers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Start the time of the first header."""
        super().connection_made(transport)
        self._expect_header()

    def on_response_complete(self) -> None:
        """Start the time of the next header."""
        answered = self.cycle
        super().on_response_complete()
        if self.cycle is answered:  # a pipelined request has a header already
            self._expect_header()

    def _expect_header(self) -> None:
        self.loop.call_later(HEADER_S, self._close_without_header, self.cycle)

    def _close_without_header(self, previous: object) -> None:
        if self.cycle is previous and not self.transport.is_closing():
            self.transport.close()
