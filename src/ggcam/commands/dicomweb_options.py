"""Options of `ggcam serve` for a DICOMweb server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ggcam.errors import ConfigError

if TYPE_CHECKING:
    from ggcam.dicom_output.options import DicomOptions
    from ggcam.dicomweb.worker import Worker
    from ggcam.server.prediction_queue import PredictionQueue


@dataclass(frozen=True)
class DicomwebOptions:
    """Where images come from and results go to, beside requests.

    Attributes:
        dicomweb: root of the DICOMweb services of a server, such as https://pacs.example/dicom-web. New images are
            fetched, and results are stored in their studies. Default: none.
        poll: seconds between two looks for new images.
        once: look for new images once, then end, without answering requests; for cron.
        modality: modalities of the images, separated by commas.
        body_part: values of Body Part Examined, separated by commas, with the wildcards * and ?; "" for any.
        study_days: only studies dated within the last days, today included. Default: all studies.
        dicomweb_user_file: file with one line USER:PASSWORD for the DICOMweb server.
        dicomweb_token_file: file with a bearer token for the DICOMweb server.
        state: file that remembers what has been done with each image.
        dicom_kinds: DICOM objects to store, as for ggcam predict.
        dicom_map_bits: as for ggcam predict.
    """

    dicomweb: str | None = None
    poll: float = 10
    once: bool = False
    modality: str = "CR,DX"
    body_part: str = "CHEST"
    study_days: int | None = None
    dicomweb_user_file: Path | None = None
    dicomweb_token_file: Path | None = None
    state: Path = Path("ggcam-dicomweb.sqlite")
    dicom_kinds: str = "pm,sr,sc"
    dicom_map_bits: Literal[32, 16] = 32

    @property
    def objects(self) -> DicomOptions:
        """Which DICOM objects to make.

        Raises:
            ConfigError: a kind is unknown.
        """
        from ggcam.dicom_output.options import DicomOptions, parse_kinds

        return DicomOptions(parse_kinds(self.dicom_kinds), self.dicom_map_bits)

    @contextmanager
    def open_worker(self, queue: PredictionQueue) -> Iterator[Worker | None]:
        """Open the worker for the DICOMweb server.

        Args:
            queue: predicts the images; opened with :attr:`objects`.

        Yields:
            The worker; None without a server.

        Raises:
            ConfigError: an option is invalid, or needs --dicomweb.
            GGCamError: as for :func:`ggcam.dicomweb.worker.open_worker`.
        """
        if self.dicomweb is None:
            if self.once:
                raise ConfigError("there is no server to look at", where="--once", hint="pass --dicomweb URL")
            yield None
            return
        from ggcam.dicomweb.credentials import CredentialsFile
        from ggcam.dicomweb.query import ImageQuery, parse_codes
        from ggcam.dicomweb.worker import open_worker

        if self.poll < 1:
            raise ConfigError("the value is too small", where="--poll", expected="at least 1 second", got=self.poll)
        if self.dicomweb_user_file and self.dicomweb_token_file:
            raise ConfigError("a user and a token at once", where="--dicomweb-user-file, --dicomweb-token-file")
        credentials = None
        if self.dicomweb_user_file:
            credentials = CredentialsFile(self.dicomweb_user_file, "user")
        elif self.dicomweb_token_file:
            credentials = CredentialsFile(self.dicomweb_token_file, "token")
        query = ImageQuery(parse_codes(self.modality), parse_codes(self.body_part), self.study_days)
        with open_worker(queue, self.dicomweb, self.state, query, self.objects, credentials) as worker:
            yield worker


DICOMWEB_GROUPS = {"DICOMweb": tuple(field.name for field in fields(DicomwebOptions))}
"""Title of a group -> fields of DicomwebOptions."""
