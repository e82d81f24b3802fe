"""Settings of the service: limits of requests, and who may ask."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from ggcam.errors import ConfigError
from ggcam.utils.secret_file import is_token, read_secret

MEGABYTE = 1024**2
MIN_TOKEN_CHARACTERS = 16


@dataclass(frozen=True)
class Settings:
    """Limits of requests, and who may ask.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 for any free one.
        token: bearer token that requests must have; None to ask for none, on a loopback address only.
        max_bytes: maximum size of a request.
        max_files: maximum number of images in a request.
        timeout_s: time for receiving a request, and again for answering it.

    Raises:
        ConfigError: a value is out of range, or an address that other machines can reach is not protected by a token.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    max_bytes: int = 64 * MEGABYTE
    max_files: int = 16
    timeout_s: float = 60

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("--port", self.port, 0, 65535),
            ("--max-bytes", self.max_bytes, 1024, 2**40),
            ("--timeout-s", self.timeout_s, 1, 3600),
        ):
            if not low <= value <= high:
                raise ConfigError("the value is out of range", where=name, expected=f"{low:,} to {high:,}", got=value)
        if self.token is None and not self.is_loopback:
            raise ConfigError(
                "other machines can reach this address, so requests need a token",
                where="--host",
                got=self.host,
                hint="pass --token-file FILE with a long random token, or leave --host out",
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    @property
    def max_held_bytes(self) -> int:
        """Maximum size of all requests that are being received or answered at a time."""
        return max(8 * self.max_bytes, 512 * MEGABYTE)


def is_loopback(host: str) -> bool:
    """Return whether an address belongs to this machine alone.

    Args:
        host: name or IP address, an IPv6 address with or without brackets.

    Returns:
        True for localhost and loopback addresses.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """Read the bearer token that requests have to send.

    Args:
        path: file that holds the token alone.

    Returns:
        The token, without white space around it.

    Raises:
        ConfigError: the file cannot be read, does not hold a token, or one that is too short.
    """
    token = read_secret(path, "--token-file")
    if len(token) < MIN_TOKEN_CHARACTERS or not is_token(token):
        raise ConfigError(
            "the file does not hold a token",
            where=f"--token-file {path}",
            expected=f"one line of at least {MIN_TOKEN_CHARACTERS} letters and digits",
            hint=f"python -c 'import secrets; print(secrets.token_urlsafe())' > {path.name}",
        )
    return token
