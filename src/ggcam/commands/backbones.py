"""`ggcam backbones`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from ggcam.commands.terminal import print_table, show_progress
from ggcam.errors import ConfigError

if TYPE_CHECKING:
    from ggcam.models.backbone_catalogue import BackboneInfo


def backbones(name: Positional[Annotated[str, arg(metavar="NAME")]] = "", size: str = "512x448") -> None:
    """List the networks that `--backbone` accepts.

    Example: ggcam backbones resnet

    Without a name: all families, and the networks that are not possible, or only for some images. With a name: each
    network is tried, and listed with its number of parameters and the grid of its CAM.

    Args:
        name: part of the name of a network, or a pattern such as "resnet*d". Default: list the families.
        size: size of the images, HEIGHTxWIDTH in pixels.
    """
    from ggcam.data.case import Frame
    from ggcam.models.backbone_catalogue import find_networks, list_families, try_networks
    from ggcam.models.backbone_limits import LIMITS

    if not name:
        rows = [[each.name, f"{len(each.networks):,}", ", ".join(each.networks[:3])] for each in list_families()]
        print_table(["family", "networks", "such as"], rows)
        print("not possible, or only for some images:")
        for limit in LIMITS:
            print(f"  {', '.join(limit.names)}: {limit.reason}")
        return
    image_size = Frame.parse(size).shape
    names = find_networks(name.lower())
    if not names:
        raise ConfigError(
            f"no network has {name!r} in its name", where="ggcam backbones NAME", hint="ggcam backbones lists families"
        )
    found: list[BackboneInfo] = []
    with show_progress("trying", "networks") as progress:
        for info in try_networks(names, image_size):
            found.append(info)
            progress(len(found), len(names))
    print_table(["network", "parameters", f"CAM at {size}", "cell"], [_network_row(info) for info in found])


def _network_row(info: BackboneInfo) -> list[str]:
    if info.parameters is None or info.grid is None:
        return [info.name, "-", f"not possible: {info.reason}", "-"]
    return [info.name, f"{info.parameters / 1e6:.1f} M", f"{info.grid[0]}x{info.grid[1]}", f"{info.stride} px"]
