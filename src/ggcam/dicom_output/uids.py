"""Unique identifiers that are derived from what they identify: the same input gives the same UID."""

from __future__ import annotations

import hashlib
import uuid


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
