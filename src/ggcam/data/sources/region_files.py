"""Regions beside images: tables of boxes, COCO annotations, and folders of masks -> regions of each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from ggcam.data.case import MASK_BITS, MaskName, RegionMask
from ggcam.data.region_masks import Box, MaskFiles, unite
from ggcam.data.sources.coco_annotations import CocoFile, read_coco
from ggcam.data.sources.image_files import images_below
from ggcam.data.sources.image_names import match_images, read_image_sizes
from ggcam.data.sources.labelled_images import LabelledImages, posix_paths
from ggcam.data.sources.region_tables import read_region_table
from ggcam.data.sources.regions import CaseRegions, RegionRows, check_mask_counts, group_regions, name_like_classes
from ggcam.errors import ConfigError, DataError, MissingFileError, join_limited

DEFAULT_TABLES = ("regions.csv", "regions.parquet", "boxes.csv")
"""Tables of regions that are read without being named."""

DEFAULT_MASKS = "masks"
"""Folder of masks that is read without being named."""


def find_region_files(root: Path, regions: Path | None, masks: Path | None) -> tuple[Path | None, Path | None]:
    """Return the files with regions: those that are named, or else those in the folder.

    Args:
        root: folder of the images.
        regions: the named table or JSON file.
        masks: the named folder of masks.

    Returns:
        Table or JSON file, and folder of masks; None for none.

    Raises:
        MissingFileError: a named file or folder does not exist.
        ConfigError: there are several tables.
    """
    if regions is not None and not regions.is_file():
        raise MissingFileError("the file of regions does not exist", where=regions)
    if masks is not None and not masks.is_dir():
        raise MissingFileError("the folder of masks does not exist", where=masks)
    tables = [root / name for name in DEFAULT_TABLES if (root / name).is_file()]
    if regions is None and len(tables) > 1:
        raise ConfigError(
            "there are several tables of regions", where=root, got=join_limited(tables), hint="name one with --regions"
        )
    default = root / DEFAULT_MASKS
    return regions or next(iter(tables), None), masks or (default if _mask_folders(default) else None)


def read_regions(
    images: LabelledImages, regions: Path | None, masks: Path | None, dropped: Counter[str]
) -> list[CaseRegions]:
    """Read the regions of images.

    Args:
        images: the images.
        regions: table of boxes and ellipses, or JSON file with COCO annotations.
        masks: folder with `<finding>/<name of the image>.png`, nonzero inside. The names of a finding left_lung,
            right_lung and mediastinum are anatomical masks.
        dropped: reason -> count; updated.

    Returns:
        Regions of each image.

    Raises:
        MissingFileError: a file does not exist.
        TableError: a file has an invalid value, or names none of the images.
        DataError: the boxes belong to images of another size, or there are too many masks.
    """
    found = [CaseRegions() for _ in images.images]
    if regions is not None:
        read = _read_coco if regions.suffix.lower() == ".json" else _read_table
        found = read(regions, images, dropped)
    if masks is not None:
        for index, (parts, anatomy) in enumerate(_read_masks(masks, images, dropped)):
            drawn = {name: [mask] for name, mask in found[index].masks.items()}
            for name, mask in parts.items():
                drawn.setdefault(name, []).append(mask)
            united = {name: unite(drawn[name]) for name in sorted(drawn)}
            found[index] = CaseRegions(found[index].regions, united, anatomy)
    if where := masks or regions:
        check_mask_counts([each.masks for each in found], images.case_ids, where)
    return found


def _read_table(path: Path, images: LabelledImages, dropped: Counter[str]) -> list[CaseRegions]:
    table = read_region_table(path)
    case = match_images(posix_paths(table.image), images, path, by_name=True, what="table of regions")
    sizes = read_image_sizes(images, case)
    known = (case >= 0) & (sizes[case, 0] > 0)
    dropped["region of an image that is not a case"] += int((case < 0).sum())
    dropped["region of an image that cannot be read"] += int(((case >= 0) & ~known).sum())
    keep = np.flatnonzero(known)
    names = name_like_classes(table.name[keep].tolist(), images.class_names, dropped)
    rows = RegionRows(
        case[keep],
        np.array(names, dtype=np.str_),
        table.kind[keep],
        table.corners[keep],
        [table.where[index] for index in keep.tolist()],
    )
    return [CaseRegions(of_case) for of_case in group_regions(rows, sizes, dropped, path)]


def _read_coco(path: Path, images: LabelledImages, dropped: Counter[str]) -> list[CaseRegions]:
    coco = read_coco(path, dropped)
    names = np.array([image.file_name for image in coco.images], dtype=np.str_)
    case = match_images(posix_paths(names), images, path, by_name=True, what="file of annotations")
    return regions_of_annotations([(coco, case)], images, dropped)


def regions_of_annotations(
    files: Sequence[tuple[CocoFile, Int[np.ndarray, " n"]]], images: LabelledImages, dropped: Counter[str]
) -> list[CaseRegions]:
    """Return the objects of COCO annotations as regions.

    Args:
        files: files of annotations, each with the index of the case of each of its images; -1 for none.
        images: the cases.
        dropped: reason -> count; updated.

    Returns:
        Boxes and masks of each case.

    Raises:
        DataError: an image has another size than its annotations refer to.
    """
    sizes = read_image_sizes(images, np.concatenate([case for _, case in files]))
    boxes: list[tuple[int, str, Box, str]] = []
    masks: list[dict[str, list[RegionMask]]] = [{} for _ in images.images]
    for coco, case in files:
        _check_sizes(coco, case, sizes, images)
        usable = [each for each in coco.annotations if case[each.image] >= 0 and sizes[case[each.image], 0]]
        dropped["region of an image that is not a case"] += len(coco.annotations) - len(usable)
        named = name_like_classes([each.name for each in usable], images.class_names, dropped)
        for annotation, name in zip(usable, named, strict=True):
            index = int(case[annotation.image])
            if isinstance(annotation.shape, tuple):
                boxes.append((index, name, annotation.shape, annotation.where))
            else:
                masks[index].setdefault(name, []).append(annotation.shape)
    rows = RegionRows(
        np.array([each[0] for each in boxes], dtype=np.int64),
        np.array([each[1] for each in boxes], dtype=np.str_),
        np.full(len(boxes), "box"),
        np.array([each[2] for each in boxes], dtype=np.float64).reshape(-1, 4),
        [each[3] for each in boxes],
    )
    where = files[0][0].path
    found = [
        CaseRegions(of_case, {name: unite(parts) for name, parts in sorted(drawn.items())})
        for of_case, drawn in zip(group_regions(rows, sizes, dropped, where), masks, strict=True)
    ]
    check_mask_counts([each.masks for each in found], images.case_ids, where)
    return found


def _check_sizes(
    coco: CocoFile, case: Int[np.ndarray, " n"], sizes: Int[np.ndarray, "cases 2"], images: LabelledImages
) -> None:
    for index, image in zip(case.tolist(), coco.images, strict=True):
        if index >= 0 and sizes[index, 0] and (image.height_px, image.width_px) != tuple(sizes[index].tolist()):
            raise DataError(
                "an image has another size than its annotations refer to",
                where=f"{images.root / images.images[index]}, {coco.path}",
                expected=f"{image.height_px}x{image.width_px}",
                got=f"{sizes[index, 0]}x{sizes[index, 1]}",
                hint="use the images in the size in which they were annotated",
            )


def _mask_folders(root: Path) -> list[Path]:
    """Return the folders of findings, which are those with an image in them."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [path for path in folders if not path.name.startswith(".") and images_below(path)]


def _read_masks(
    root: Path, images: LabelledImages, dropped: Counter[str]
) -> list[tuple[Mapping[str, RegionMask], Mapping[MaskName, Path]]]:
    folders = _mask_folders(root)
    if not folders:
        raise DataError("no masks in folders of findings", where=root, expected="<finding>/<name of the image>.png")
    files = [(folder, name) for folder in folders for name in images_below(folder)]
    case = match_images(
        np.array([PurePosixPath(name).with_suffix("").as_posix() for _, name in files], dtype=np.str_),
        images,
        root,
        by_name=True,
        what="folder of masks",
    )
    dropped["mask of an image that is not a case"] += int((case < 0).sum())
    anatomical: dict[str, MaskName] = {name: name for name in MASK_BITS}
    findings = [folder for folder in folders if _anatomy(folder.name) not in anatomical]
    named = dict(
        zip(findings, name_like_classes([folder.name for folder in findings], images.class_names, dropped), strict=True)
    )
    masks: list[dict[str, RegionMask]] = [{} for _ in images.images]
    anatomy: list[dict[MaskName, Path]] = [{} for _ in images.images]
    for index, (folder, name) in zip(case.tolist(), files, strict=True):
        if index < 0:
            continue
        if folder in named:
            # Folders that name the same finding, such as "Mass" and "mass", are united.
            before = masks[index].get(named[folder])
            mask = MaskFiles(((folder / name).absolute(),))
            masks[index][named[folder]] = unite([before, mask]) if before else mask
        else:
            anatomy[index][anatomical[_anatomy(folder.name)]] = folder / name
    return list(zip(masks, anatomy, strict=True))


def _anatomy(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")
