"""Unique identifiers that are derived from what they identify: the same input gives the same UID."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ggcam.dicom_output.model_identity import ModelIdentity
    from ggcam.dicom_output.options import DicomOptions, Kind


def derive_uid(*parts: str) -> str:
    """Derive a UID from texts, as a UUID under the root 2.25 (PS3.5 B.2).

    Objects that are made again, because a transfer failed or a command is repeated, keep their identity.

    Args:
        *parts: texts; their order matters.

    Returns:
        The UID.

    Example:
        >>> derive_uid("1.2.3", "map") == derive_uid("1.2.3", "map") != derive_uid("1.2.3", "report")
        True
    """
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def result_uid(image_uid: str, model: ModelIdentity, options: DicomOptions, kind: Kind) -> str:
    """Derive the SOP Instance UID of a result from everything that determines its content.

    Args:
        image_uid: SOP Instance UID of the source image.
        model: the network that computed it.
        options: which objects were made of the image.
        kind: kind of the object.

    Returns:
        The UID.
    """
    details = {
        "pm": (str(options.map_bits),),
        "seg": (str(options.mask_threshold),),
        "sr": (str(options.map_bits), str("pm" in options.kinds)),  # it refers to the map
        "pr": (str(options.map_bits),),
    }
    return derive_uid(image_uid, *model.key, kind, *details.get(kind, ()))
