"""Start a local Ray cluster and print, as JSON, what a worker sees of it. Run by test_telemetry.py."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggcam.study import cluster
from ggcam.study.run import Outcome
from ggcam.utils.ray_cluster import LOCAL

LISTENING = "0A"


@dataclass(frozen=True)
class FakeTask:
    name: str
    threads: int | None = None


def belongs(process: Path, driver: str) -> bool:
    """Whether a process is the driver or inherited the token of its cluster."""
    token = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode()
    return process.name == driver or token in (process / "environ").read_bytes().split(b"\0")


def listening_addresses(driver: str) -> list[str]:
    """Addresses that the processes of the cluster listen on."""
    sockets: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if belongs(process, driver):
                sockets |= {os.readlink(link) for link in (process / "fd").iterdir()}
        except OSError:
            continue  # it has ended, or belongs to another user
    found: set[str] = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for row in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in sockets:
                words = bytes.fromhex(fields[1].partition(":")[0])  # in the byte order of the machine
                address = b"".join(words[start : start + 4][::-1] for start in range(0, len(words), 4))
                found.add(socket.inet_ntop(family, address))
    return sorted(found)


def observe(task: Any) -> Outcome:
    """In place of training."""
    names = ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED", "ORT_DISABLE_TELEMETRY")
    from ray._private.worker import global_worker

    session = Path(global_worker.node.get_session_dir_path())
    seen = {
        "listening": listening_addresses(task.name),
        "private_folder": session.parents[1].stat().st_mode & 0o077 == 0,
        **{name: os.environ.get(name) for name in names},
    }
    return Outcome(task.name, json.dumps(seen), 0.0)


if __name__ == "__main__":
    cluster.run_one = observe
    task: Any = FakeTask(str(os.getpid()))
    for outcome in cluster.run_on_ray([task], LOCAL):
        sys.stdout.write(str(outcome.error))
