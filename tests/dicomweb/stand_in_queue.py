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

OPTIONS = DicomOptions(("pm", "sr", "sc"), map_bits=16)


class StandInQueue(PredictionQueue):
    """Answers as :class:`ggcam.server.prediction_queue.PredictionQueue`, at once and with noise as CAMs."""

    model = MODEL

    def __init__(self) -> None:
        self.predicted = 0

    def submit(self, content: bytes, kinds: Sequence[Any]) -> Future[Answer]:
        future: Future[Answer] = Future()
        assert tuple(kinds) == OPTIONS.kinds
        try:
            with memory_file(content) as path:
                source = read_source(path)
                result = predict_file(path)
                future.set_result(Answer(result, {}, dicom_objects(Subject(source.reference, result, MODEL, OPTIONS))))
            self.predicted += 1
        except Exception as error:
            future.set_exception(error)
        return future
