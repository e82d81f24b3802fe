"""What the service counts, in the format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Counters:
    """The counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "ggcam_requests", "Answered requests.", ["method", "route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "ggcam_request_seconds",
            "Time from the header of a request to the end of its response.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.images = Counter("ggcam_images", "Images by outcome.", ["outcome"], registry=self._registry)
        self.batch_size = Histogram(
            "ggcam_batch_images",
            "Images per forward pass.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self.waiting = Gauge("ggcam_waiting_images", "Images that wait or are predicted.", registry=self._registry)

    def text(self) -> bytes:
        """Return all counters in Prometheus's text format."""
        return generate_latest(self._registry)
