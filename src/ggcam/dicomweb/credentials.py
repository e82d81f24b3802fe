"""Credentials for a DICOMweb server, read from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from ggcam.errors import ConfigError
from ggcam.utils.secret_file import is_token, read_secret


class NoCredentials(AuthBase):
    """Sends none. Without it, requests would look for some in the file `.netrc` of the home folder."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Return the request as it is.

        Args:
            r: the request.
        """
        return r


class CredentialsFile(AuthBase):
    """Sends what a file contains. It is read for each request, so a token that expires can be replaced in the file.

    Args:
        path: text file of one line.
        kind: "user" for a line `user:password`, sent as HTTP Basic; "token" for a bearer token.

    Raises:
        ConfigError: the file cannot be read, or does not contain such a line.
    """

    def __init__(self, path: Path, kind: Literal["user", "token"]):
        self._path, self._kind = path, kind
        self._read()

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Add the header Authorization.

        Args:
            r: the request.

        Returns:
            The same request.

        Raises:
            ConfigError: as for the class.
        """
        line = self._read()
        if self._kind == "token":
            r.headers["Authorization"] = f"Bearer {line}"
            return r
        user, _, password = line.partition(":")
        return HTTPBasicAuth(user.encode(), password.encode())(r)

    def _read(self) -> str:
        option = f"--dicomweb-{self._kind}-file"
        expected = "one line user:password" if self._kind == "user" else "one line with a token"
        line = read_secret(self._path, option)
        if not (":" in line if self._kind == "user" else is_token(line)):
            raise ConfigError("not a file of credentials", where=f"{option} {self._path}", expected=expected)
        return line
