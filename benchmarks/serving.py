"""Requests per second and their times: `ggcam serve` against a plain script with FastAPI and torch.

Both run a ResNet-50 of random weights at 768x640 in a process of their own and answer the same DICOM image of 2048x1664
with probabilities. ggcam computes the maps of all classes as well; the script does not. Clients send one request after
the other, on the same machine. The processor time, of the service and its workers, tells most on a busy machine.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.folder import write_network
from benchmarks.raw_cases import SHORT_SIZE, raw_cases
from benchmarks.side_by_side import Result

CLIENTS = (1, 8, 32)
RAW_SIZE = "2048x1664"
OTHER = "a script with FastAPI and torch"
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Served:
    """Answers of a service.

    Attributes:
        seconds: time of each request.
        total_s: time of all requests.
        cpu_s: processor time of the service and its workers, per request.
    """

    seconds: list[float]
    total_s: float
    cpu_s: float


def run(short: bool = False) -> Iterator[Result]:
    """Yield the comparison of each number of clients."""
    backbone, size, clients = ("resnet18", (64, 64), (1, 2)) if short else ("resnet50", (768, 640), CLIENTS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = raw_cases(folder / "raw", SHORT_SIZE if short else RAW_SIZE)
        image = Path(source.cases[0].image).read_bytes()
        network = folder / "NET.onnx"
        write_network(network, backbone, size)
        script: list[object] = [Path(__file__).with_name("plain_service.py"), backbone, *size]
        ours: list[object] = ["-m", "ggcam", "serve", network, "--port", 0, "--timeout-s", 3600]
        with service(ours) as our_service, service(script) as other_service:
            for count in clients:
                requests = 4 if short else 2 * count + 8
                ours_served, other_served = (ask(each, image, count, requests) for each in (our_service, other_service))
                what = f"{backbone}, {size[0]}x{size[1]}, {count} client{'s' * (count > 1)}"
                yield from compare(what, ours_served, other_served, requests)


def compare(what: str, ours: Served, other: Served, requests: int) -> Iterator[Result]:
    """Yield the time per request, its percentiles, and the processor time."""
    per_request = ours.total_s / requests, other.total_s / requests
    yield Result(f"{what}: time per request", OTHER, *per_request, per_request[1] / per_request[0])
    for percentile in PERCENTILES:
        a, b = (float(np.percentile(served.seconds, percentile)) for served in (ours, other))
        yield Result(f"{what}: p{percentile}", OTHER, a, b, b / a)
    yield Result(f"{what}: processor time", OTHER, ours.cpu_s, other.cpu_s, other.cpu_s / ours.cpu_s)


@dataclass(frozen=True)
class Service:
    """A running service."""

    process: int
    port: int


@contextmanager
def service(arguments: list[object]) -> Iterator[Service]:
    """Start a service that prints its address, and end it afterwards."""
    command = [sys.executable, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        found = next((found for line in process.stdout if (found := re.search(r"http://127.0.0.1:(\d+)", line))), None)
        if found is None:
            raise RuntimeError(f"{command[1:]} ended before it answered")
        yield Service(process.pid, int(found[1]))
    finally:
        process.terminate()
        process.communicate()


def ask(service: Service, image: bytes, clients: int, requests: int) -> Served:
    """Send requests from several clients, after two to warm up."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="image"\r\n\r\n' + image + b"\r\n--x--\r\n"

    def post(_: int) -> float:
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=600)
        connection.request("POST", "/predict", body, {"Content-Type": "multipart/form-data; boundary=x"})
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"the service answered with {response.status}")
        return time.perf_counter() - started

    for warm_up in range(2):
        post(warm_up)
    before, started = cpu_seconds(service.process), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = list(pool.map(post, range(requests)))
    total = time.perf_counter() - started
    return Served(seconds, total, (cpu_seconds(service.process) - before) / requests)


def cpu_seconds(process: int) -> float:
    """Return the processor time of a process and its children, from /proc."""
    ticks = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(stat.parent.name) == process or int(fields[1]) == process:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
