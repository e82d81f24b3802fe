"""Schema of dataset.toml, which is checked when a prepared folder is opened."""

# Without `from __future__ import annotations`, which would hide NotRequired from a TypedDict.

from typing import Literal, NotRequired, TypedDict


class FrameSize(TypedDict):
    """Size of the images in pixels."""

    height_px: int
    width_px: int


class SplitRecord(TypedDict):
    """How the split was made."""

    how: NotRequired[str]
    seed: NotRequired[int]
    patients_in_several_splits: NotRequired[int]


class PreparedMeta(TypedDict):
    """Content of dataset.toml. Folders of earlier versions lack some keys; later versions may have more."""

    schema_version: int
    source: str
    kind: NotRequired[Literal["chest", "other"]]
    class_names: list[str]
    multi_label: NotRequired[bool]
    preset: NotRequired[str]
    framing: NotRequired[Literal["fitted", "strided"]]
    channels: NotRequired[Literal[1, 3]]
    bits: NotRequired[int]
    used_bits: NotRequired[int]
    frame: FrameSize
    split: NotRequired[SplitRecord]
    counts: NotRequired[dict[str, dict[str, int]]]
    dropped: NotRequired[dict[str, int]]
    versions: NotRequired[dict[str, str]]
