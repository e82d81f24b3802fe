"""Connect to a Ray cluster, or start one on this machine that nothing else can reach.

With the address "local" the cluster is this machine: it starts with the block, ends with it, and cannot be reached from
other machines.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from typing import Any

from ggcam.errors import ConfigError
from ggcam.utils.signals import sigterm_handler_kept

LOCAL = "local"
"""The address that starts a cluster on this machine."""

CONNECT_S = 10.0
"""Time in which the head of a cluster must accept a connection."""

_START = "start a cluster with ray start --head"

_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # one machine only, on any system: Ray listens on the loopback address
    "RAY_AUTH_MODE": "token",  # other users of this machine cannot connect either
}

_NO_HTTP = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost,127.0.0.1"}
"""Lead Ray's HTTP requests to a closed port: it asks three clouds whether it is there, usage statistics or not."""


def ray_cluster(address: str) -> AbstractContextManager[Any]:
    """Connect to a Ray cluster inside a `with` block.

    Args:
        address: address of the cluster, "auto" for the cluster that this machine belongs to, or :data:`LOCAL` to start
            one on this machine.

    Returns:
        A context that yields the module `ray`.

    Raises:
        ConfigError: Ray is not installed, the cluster cannot be reached, or a local cluster could be reached from other
            machines.
    """
    return _local_cluster() if address == LOCAL else _cluster(address)


@contextmanager
def _cluster(address: str, **options: Any) -> Iterator[Any]:
    """Connect to a cluster inside the block, and yield the module `ray`."""
    ray = _import_ray()
    _check_reachable(address)
    try:
        with sigterm_handler_kept():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True, **options)
    except Exception as error:  # Ray raises plain ones, too, such as when a busy machine does not start it in time
        raise ConfigError(
            "the Ray cluster on this machine did not start" if address == LOCAL else "cannot connect to a Ray cluster",
            where="--ray",
            got=f"{address}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="try again when the machine is less busy" if address == LOCAL else _START,
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Check that something listens at HOST:PORT; Ray would wait for minutes. Other addresses are left to Ray."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            "the Ray cluster cannot be reached",
            where="--ray",
            got=f"{address}: {error}",
            hint=f"check the address; {_START}",
        ) from error


@contextmanager
def _local_cluster() -> Iterator[Any]:
    """Start a cluster that only this process can connect to inside the block, and yield the module `ray`."""
    os.environ.update(_LOOPBACK)
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # stays set: Ray keeps the first token that it reads
    short = "/tmp" if os.path.isdir("/tmp") else None  # the path of a socket has at most about 100 characters
    with (
        TemporaryDirectory(prefix="ray-", dir=short, ignore_cleanup_errors=True) as private,
        _environment(_NO_HTTP),
        # Ray opens its folder to all users: it is one inside a private one.
        _cluster(LOCAL, include_dashboard=False, _temp_dir=os.path.join(private, "ray")) as ray,
    ):
        _check_loopback(ray)
        yield ray


def _check_loopback(ray: Any) -> None:
    """Check that the cluster listens on the loopback address; Ray reads its configuration when it is imported."""
    address = ray.util.get_node_ip_address()
    if not ip_address(address).is_loopback:
        raise ConfigError(
            "a local Ray cluster could be reached from other machines",
            where="--ray local",
            expected="the loopback address",
            got=address,
            hint="do not import ray before ggcam starts the cluster",
        )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ConfigError("Ray is not installed", where="--ray", hint="pip install 'ggcam[ray]'") from error
    return ray
