"""Collect loaded images into batches for the network, which one thread runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread

from ggcam.inference.image_input import LoadedImage
from ggcam.inference.result import PredictionResult

Predict = Callable[[Sequence[LoadedImage]], list[PredictionResult]]


class Batcher:
    """Predicts images that arrive within a short time of each other in one forward pass.

    Args:
        predict: predicts a batch.
        batch_size: maximum number of images in a batch.
        wait_s: how long the first image of a batch waits for others.
        observe: called with the number of images of each batch.
    """

    def __init__(
        self, predict: Predict, batch_size: int, wait_s: float, observe: Callable[[int], None] = lambda _: None
    ):
        self._predict, self._batch_size, self._wait_s, self._observe = predict, batch_size, wait_s, observe
        self._waiting: SimpleQueue[tuple[LoadedImage, Future[PredictionResult]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="ggcam-network", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread of the network runs."""
        return self._thread.is_alive()

    def put(self, loaded: LoadedImage) -> Future[PredictionResult]:
        """Add an image to the next batch.

        Args:
            loaded: the image.

        Returns:
            Its result, once it is computed.
        """
        future: Future[PredictionResult] = Future()
        self._waiting.put((loaded, future))
        return future

    def close(self) -> None:
        """Predict what waits, then end the thread. Nothing may be put afterwards."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, is_last = [first], False
            until = time.monotonic() + self._wait_s
            while len(batch) < self._batch_size and not is_last:
                try:
                    following = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
                except Empty:
                    break
                is_last = following is None
                if following is not None:
                    batch.append(following)
            self._answer(batch)
            if is_last:
                return

    def _answer(self, batch: Sequence[tuple[LoadedImage, Future[PredictionResult]]]) -> None:
        self._observe(len(batch))
        try:
            results = self._predict([loaded for loaded, _ in batch])
        except Exception as error:  # one failed batch shall not end the thread
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
