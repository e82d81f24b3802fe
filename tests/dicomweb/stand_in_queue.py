"""Predictions without a network, so that tests of the worker are quick; files are decoded as ever."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from dicom_output.predicted import MODEL, predict_file
from ggcam.dicom_output.objects import dicom_objects
from ggcam.dicom_output.options import DicomOptions
from ggcam.dicom_output.source import read_source
from ggcam.dicom_output.subject import Subject
from ggcam.server.memory_files import memory_file
from ggcam.server.prediction_queue import Answer, PredictionQueue


class StandInQueue(PredictionQueue):
    """Answers as a queue does, at once and with noise as CAMs; what it has answered it answers from memory."""

    model = MODEL

    def __init__(self, options: DicomOptions):
        self.options = options
        self._answers: dict[bytes, Answer] = {}

    def submit(self, content: Any, kinds: Sequence[Any] = ()) -> Future[Answer]:
        future: Future[Answer] = Future()
        assert tuple(kinds) == self.options.kinds
        try:
            if content not in self._answers:
                self._answers[content] = self._predict(content)
            future.set_result(self._answers[content])
        except Exception as error:
            future.set_exception(error)
        return future

    def _predict(self, content: bytes) -> Answer:
        with memory_file(content) as path:
            source = read_source(path)
            result = predict_file(path)
            return Answer(result, {}, dicom_objects(Subject(source.reference, result, MODEL, self.options)))
