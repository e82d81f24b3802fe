"""A service in this process, and images to send to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from dicom_output.predicted import source_dataset, write_source
from ggcam.dicom_output.model_identity import ModelIdentity, read_model_identity
from ggcam.inference.predictor import Predictor, load_predictor
from ggcam.server.app import create_app
from ggcam.server.counters import Counters
from ggcam.server.prediction_queue import PredictionQueue
from ggcam.server.settings import Settings

Connect = Callable[..., TestClient]


def png(seed: int, size: tuple[int, int] = (70, 90)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture(scope="session")
def predictor(trained: Path) -> Predictor:
    return load_predictor(trained, engine="torch", device="cpu")


@pytest.fixture(scope="session")
def model(trained: Path) -> ModelIdentity:
    return read_model_identity(trained)


@pytest.fixture(scope="module")
def queue(predictor: Predictor, model: ModelIdentity) -> Iterator[PredictionQueue]:
    with PredictionQueue(predictor, model) as queue:
        yield queue


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_source(tmp_path_factory.mktemp("dicom") / "source.dcm", source_dataset()).read_bytes()


@pytest.fixture(scope="module")
def connect(queue: PredictionQueue) -> Connect:
    """Return a client of a service with other settings."""

    def client(queue: PredictionQueue = queue, **settings) -> TestClient:
        app = create_app(queue, Settings(**settings), Counters())
        return TestClient(app, base_url="http://127.0.0.1:8080", raise_server_exceptions=True)

    return client


@pytest.fixture(scope="module")
def client(connect: Connect) -> TestClient:
    return connect()
