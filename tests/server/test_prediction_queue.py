"""The queue answers with the predictor's own numbers, in batches, and keeps its bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dicom_output.predicted import source_dataset, write_source
from ggcam.dicom_output.model_identity import ModelIdentity
from ggcam.errors import ConfigError, ImageError
from ggcam.inference.predictor import Predictor
from ggcam.inference.result import PredictionResult
from ggcam.server.prediction_queue import PredictionQueue, QueueFullError
from hostile_images import write_hostile_images
from server.conftest import png


@pytest.fixture(scope="module")
def batches() -> list[int]:
    return []


@pytest.fixture(scope="module")
def queue(trained: Path, batches: list[int]) -> Iterator[PredictionQueue]:
    with PredictionQueue.open(trained, engine="torch", device="cpu", wait_s=0.2, observe_batch=batches.append) as queue:
        yield queue


def assert_same(answer: PredictionResult, expected: PredictionResult) -> None:
    assert answer.image_size == expected.image_size
    assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    for name, cam in expected.cam_grid.items():
        np.testing.assert_allclose(answer.cam_grid[name], cam, atol=1e-5)
    assert answer.unusual == expected.unusual


def test_images_that_arrive_together_share_a_forward_pass_and_have_the_predictors_results(
    queue: PredictionQueue, predictor: Predictor, batches: list[int], tmp_path: Path
):
    batches.clear()
    futures = [queue.submit(png(seed)) for seed in range(6)]
    for seed, future in enumerate(futures):
        path = tmp_path / f"{seed}.png"
        path.write_bytes(png(seed))
        assert_same(future.result().result, predictor(path))
    assert sum(batches) == 6
    assert max(batches) > 1
    assert queue.waiting == 0


def test_a_path_is_predicted_like_its_content(queue: PredictionQueue, tmp_path: Path):
    path = write_source(tmp_path / "source.dcm", source_dataset())
    assert_same(queue.submit(path).result().result, queue.submit(path.read_bytes()).result().result)


def test_dicom_objects_belong_to_the_image(queue: PredictionQueue, tmp_path: Path):
    path = write_source(tmp_path / "source.dcm", source_dataset())
    answer, again = (queue.submit(image, ("sr", "sc")).result() for image in (path.read_bytes(), path))
    assert list(answer.objects) == ["sr", "sc"]
    for kind, made in answer.objects.items():
        assert made.StudyInstanceUID == source_dataset().StudyInstanceUID
        assert made.SOPInstanceUID == again.objects[kind].SOPInstanceUID


def test_dicom_objects_of_a_png_file_are_refused(queue: PredictionQueue):
    with pytest.raises(ImageError, match="not a DICOM file"):
        queue.submit(png(0), ("sr",)).result()


def test_a_hostile_file_costs_its_own_request_alone(queue: PredictionQueue, tmp_path: Path):
    expected = write_hostile_images(tmp_path)
    hostile = {name: queue.submit((tmp_path / name).read_bytes()) for name in expected}
    sound = [queue.submit(png(seed)) for seed in range(8)]
    for name, words in expected.items():
        with pytest.raises(ImageError, match=words):
            hostile[name].result()
    assert all(future.result().result.probabilities for future in sound)


def test_a_full_queue_refuses_and_recovers(predictor: Predictor, model: ModelIdentity, monkeypatch: pytest.MonkeyPatch):
    go_on = threading.Event()
    predict = predictor.predict_loaded

    def blocked(loaded):
        go_on.wait(30)
        return predict(loaded)

    monkeypatch.setattr(predictor, "predict_loaded", blocked)
    with PredictionQueue(predictor, model, max_waiting=3) as small:
        futures = [small.submit(png(seed)) for seed in range(3)]
        with pytest.raises(QueueFullError, match="at most 3 images"):
            small.submit(png(3))
        go_on.set()
        assert len([future.result() for future in futures]) == 3
        assert small.submit(png(3)).result().result.probabilities


def test_closing_answers_what_was_submitted(trained: Path):
    queue = PredictionQueue.open(trained, engine="torch", device="cpu")
    futures = [queue.submit(png(seed)) for seed in range(5)]
    queue.close()
    assert all(future.done() and future.result().result.probabilities for future in futures)
    assert not queue.is_open
    with pytest.raises(QueueFullError, match="shutting down"):
        queue.submit(png(0))


def test_an_error_of_the_network_reaches_its_images_and_the_queue_goes_on(
    predictor: Predictor, model: ModelIdentity, monkeypatch: pytest.MonkeyPatch
):
    predict = predictor.predict_loaded
    failures = [MemoryError("no room")]

    def sometimes(loaded):
        if failures:
            raise failures.pop()
        return predict(loaded)

    monkeypatch.setattr(predictor, "predict_loaded", sometimes)
    with PredictionQueue(predictor, model) as queue:
        with pytest.raises(MemoryError, match="no room"):
            queue.submit(png(0)).result()
        assert queue.submit(png(0)).result().result.probabilities
        assert queue.is_open


@pytest.mark.parametrize("arguments", [{"max_waiting": 0}, {"batch_size": 0}, {"wait_s": -1.0}])
def test_bounds_are_checked(predictor: Predictor, model: ModelIdentity, arguments: dict):
    with pytest.raises(ConfigError, match=r"too small|negative"):
        PredictionQueue(predictor, model, **arguments)
