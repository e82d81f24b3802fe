"""Small DICOM files with any attributes."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, ImplicitVRLittleEndian

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}


def make_dicom(
    pixels: np.ndarray, bits: int = 12, transfer_syntax: UID = ExplicitVRLittleEndian, **attributes
) -> FileDataset:
    """Make a grey image with the given number of bits; an attribute that is None is removed."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    meta.TransferSyntaxUID = transfer_syntax
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 if bits <= 8 else 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    dataset.PixelData = pixels.astype(f"<{'ui'[dataset.PixelRepresentation]}{dataset.BitsAllocated // 8}").tobytes()
    dataset["PixelData"].VR = "OB" if bits <= 8 else "OW"
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def write_dicom(path: Path, pixels: np.ndarray, bits: int = 12, **attributes) -> Path:
    make_dicom(pixels, bits, **attributes).save_as(path, enforce_file_format=True)
    return path


def write_bare(path: Path, dataset: Dataset, implicit: bool) -> Path:
    """Write a file without preamble and meta header, as some archives do."""
    bare = Dataset(dataset)
    bare.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    return path


def lut(first: int, bits: int, values: list[int]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(values) % 2**16, first, bits])
    item.add_new("LUTData", "OW", np.array(values, "<u2").tobytes())
    return item


def lossless_jpeg(pixels: np.ndarray, bits: int) -> bytes:
    """Encode pixels with process 14 of ITU-T T.81 (Annex H), predictor 1, as in most compressed X-rays.

    The code of each category of differences is its number in five bits. Up to 15 bits per pixel.
    """
    height, width = pixels.shape
    values = pixels.astype(int)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 2 ** (bits - 1)
    coded = []
    for difference in (values - predicted).ravel().tolist():
        category = abs(difference).bit_length()
        coded.append(f"{category:05b}")
        if category:
            coded.append(f"{difference if difference > 0 else difference + 2**category - 1:0{category}b}")
    stream = "".join(coded)
    stream += "1" * (-len(stream) % 8)
    scan = bytes(int(stream[at : at + 8], 2) for at in range(0, len(stream), 8)).replace(b"\xff", b"\xff\0")

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    frame = bytes([bits]) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([1, 1, 0x11, 0])
    huffman = bytes([0, *(17 if length == 5 else 0 for length in range(1, 17)), *range(17)])
    start = bytes([1, 1, 0, 1, 0, 0])
    return b"\xff\xd8" + segment(0xC3, frame) + segment(0xC4, huffman) + segment(0xDA, start) + scan + b"\xff\xd9"


def windowed(values: np.ndarray, centre: float = 2048, width: float = 4096) -> np.ndarray:
    """Return what values look like through a window, from 0 to 65535."""
    return 65535 * np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


__all__ = [
    "RAMP",
    "WINDOW",
    "ExplicitVRLittleEndian",
    "ImplicitVRLittleEndian",
    "lossless_jpeg",
    "lut",
    "make_dicom",
    "windowed",
    "write_bare",
    "write_dicom",
]
