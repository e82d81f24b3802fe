"""`ggcam serve`."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, arg

from ggcam.commands.arguments import Run
from ggcam.commands.dicomweb_options import DicomwebOptions
from ggcam.errors import ConfigError

if TYPE_CHECKING:
    from ggcam.dicomweb.worker import Worker

PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "dicomweb_client")


def serve(
    run: Run,
    host: str = "127.0.0.1",
    port: int = 8080,
    token_file: Path | None = None,
    max_queue: int = 64,
    max_bytes: int = 64 * 1024**2,
    batch_size: int = 8,
    wait_ms: float = 5,
    timeout_s: float = 60,
    device: str | None = None,
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    precision: Literal["auto", "32", "bf16", "int8"] | None = None,
    reduced_resolution: bool = False,
    dicomweb: OmitArgPrefixes[Annotated[DicomwebOptions, arg(name="")]] = DicomwebOptions(),  # noqa: B008
) -> None:
    """Serve predictions over HTTP, with a web page for people.

    Example: ggcam serve run/K3F9Q --port 8080

    The page is at http://127.0.0.1:8080, the description for programs at /docs. Images are kept in memory while they
    are predicted, and never written to the disk. For research use; not a medical device. Needs the extra ggcam[serve].

    Args:
        run: run folder, or an ONNX file or bundle written by `ggcam export`.
        host: address to listen on. An address that other machines can reach requires --token-file.
        port: port to listen on; 0 for any free one.
        token_file: file with the token that requests must have, as Authorization: Bearer TOKEN.
        max_queue: maximum number of images that wait or are being predicted; beyond it the answer is 503.
        max_bytes: maximum size of a request; beyond it the answer is 413.
        batch_size: maximum number of images in one forward pass.
        wait_ms: how long an image waits for others to share its forward pass, in milliseconds.
        timeout_s: time in seconds for receiving a request, and again for answering it.
        device: device to compute on, such as cpu or cuda:1. Default: a GPU if there is one.
        engine: as for ggcam predict. auto: torch on a GPU; on a CPU the fastest installed engine.
        precision: as for ggcam predict. Default: 32; int8 for an ONNX file in int8.
        reduced_resolution: as for ggcam predict.
        dicomweb: where images come from and results go to, beside requests.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError("packages are missing", got=", ".join(missing), hint="pip install 'ggcam[serve]'")
    from ggcam.server.settings import Settings, read_token

    token = None if token_file is None else read_token(token_file)
    max_files = min(Settings.max_files, max_queue)  # a request with more could never be answered
    settings = Settings(host, port, token, max_bytes, max_files, timeout_s)

    from ggcam.data.image_limits import image_limits
    from ggcam.utils.parallel import thread_count
    from ggcam.utils.signals import Terminated
    from ggcam.utils.worker_process import start_workers

    image_limits([])  # an invalid variable is reported now, not with each image
    start_workers(thread_count(), "ggcam.inference.image_input", "ggcam.data.dicom")
    from ggcam.server.counters import Counters
    from ggcam.server.prediction_queue import PredictionQueue
    from ggcam.server.run import log_without_content
    from ggcam.server.run import serve as serve_requests

    counters = Counters()
    queue = PredictionQueue.open(
        run,
        device=device,
        engine=engine,
        precision=precision,
        reduced_resolution=reduced_resolution,
        max_waiting=max_queue,
        batch_size=batch_size,
        wait_s=wait_ms / 1000,
        options=dicomweb.objects,
        observe_batch=counters.batch_size.observe,
    )
    log_without_content()
    with queue, dicomweb.open_worker(queue) as worker:
        if worker is not None and dicomweb.once:
            _run_once(worker)
            return
        routers = []
        if worker is not None:
            from ggcam.dicomweb.routes import study_router

            routers.append(study_router(worker))
        try:
            with nullcontext() if worker is None else worker.in_background(dicomweb.poll):
                serve_requests(queue, settings, counters, routers, started=_tell)
        except (KeyboardInterrupt, Terminated):  # how a service ends; what had arrived is answered
            print("stopped", flush=True)


def _run_once(worker: Worker) -> None:
    done = worker.run_round()
    print(
        f"{done.found:,} new images; results of {done.stored:,} images stored; {done.retried:,} images to be tried "
        f"again, {done.failed:,} failed"
    )
    if done.retried or done.failed:
        sys.exit(1)


def _tell(address: str) -> None:
    print(f"For research use. Not for diagnosis.\nserving {address} (Ctrl-C stops)", flush=True)
