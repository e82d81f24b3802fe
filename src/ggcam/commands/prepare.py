"""`ggcam prepare`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, arg

from ggcam.commands.arguments import Out, Raw
from ggcam.commands.source_options import SourceOptions, accepted_options, documented_options
from ggcam.commands.terminal import print_table, show_progress
from ggcam.data.prepare.config import PrepareConfig
from ggcam.errors import ConfigError

if TYPE_CHECKING:
    from tyro.constructors import ConstructorRegistry


def prepare(
    raw: Raw,
    out: Out,
    source: str = "auto",
    source_options: OmitArgPrefixes[Annotated[SourceOptions, arg(name="source")]] = SourceOptions(),  # noqa: B008
    write_original: Path | None = None,
    config: OmitArgPrefixes[Annotated[PrepareConfig, arg(name="")]] = PrepareConfig(),  # noqa: B008
) -> None:
    """Convert a raw data set to a prepared folder.

    Example: ggcam prepare physionet.org/files/egd-cxr/1.0.0 DATA --images physionet.org/files/mimic-cxr/2.0.0

    The folder holds images of one size, gaze, regions, and splits by patient. Run an interrupted command again to
    continue it.

    Args:
        raw: folder with the raw data.
        out: folder to create.
        source: format of the raw data; or my_module:read, a function in a Python file of your own. Default: recognised
            from the files.
        source_options: options of the source.
        write_original: also write the .pt files that the original GG-CAM trains on to this folder.
        config: options of every source.
    """
    from ggcam.data.prepare.pipeline import load_if_same
    from ggcam.data.prepare.pipeline import prepare_source as run
    from ggcam.data.sources import read
    from ggcam.data.summary import summary_table

    found = read(raw, source, skip_missing=config.skip_missing, **source_options.given())
    # If only the writing of the .pt files was interrupted, the prepared folder is complete already.
    data = load_if_same(found, out, config) if write_original and not config.overwrite else None
    if data is None:
        with show_progress("preparing", "cases") as progress:
            data = run(found, out, config, progress)
    head, *rows = summary_table(data)
    print_table(head, rows)
    if data.channels == 3:
        print("the images are in colour, with three channels; --channels grey converts them")
    if data.used_bits < 16:
        print(f"the values of 16-bit images use {data.used_bits} bits: {2**data.used_bits - 1:,} is white")
    dropped: Mapping[str, int] = data.meta["dropped"]
    if dropped:
        print_table(["left out or flagged", "count"], [[name, f"{n:,}"] for name, n in dropped.items()])
    if write_original:
        from ggcam.data.original.writer import write_original_folders

        with show_progress("writing .pt files", "cases") as progress:
            written = write_original_folders(found, data, write_original, config.workers, config.overwrite, progress)
        print_table([f"folder in {write_original}", "files"], [[name, f"{n:,}"] for name, n in written.items()])
    print(f"{len(data):,} cases in {out}. Next: ggcam inspect {out}; ggcam train {out}")


def run_prepare(arguments: Sequence[str], registry: ConstructorRegistry | None = None) -> None:
    """Run `ggcam prepare [SOURCE] RAW OUT [OPTIONS]`.

    The help lists the options of a source only if the source is named. Otherwise the options of all sources are
    accepted, and those that the recognised source does not have are refused with the names of the sources that do.

    Args:
        arguments: the words after `ggcam prepare`.
        registry: rules by which tyro turns signatures into options.

    Raises:
        ConfigError: the source is unknown, or does not have one of the options.
        GGCamError: the data cannot be read or prepared.
    """
    import tyro

    from ggcam.data.sources import READERS, command_line_name, find_read_function

    name, rest = _split_source(arguments)
    named = [] if name == "auto" else [find_read_function(name)]
    program = "ggcam prepare" if rest == list(arguments) else f"ggcam prepare {command_line_name(name)}"
    if "--help" not in rest and "-h" not in rest:
        options = accepted_options([*(reader.read for reader in READERS.values()), *named])
    elif named:
        options = documented_options(named[0])
    else:
        options, program = SourceOptions(), "ggcam prepare [SOURCE]"
    command = partial(prepare, source=name, source_options=options)
    tyro.cli(command, prog=program, description=_description(name), args=rest, registry=registry)


def _split_source(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the source that the arguments name ("auto" if none), and the arguments without its name in front."""
    from ggcam.data.sources import find_reader

    first = next(iter(arguments), "")
    options = [word.partition("=")[2] for word in arguments if word.startswith("--source=")]
    options += [value for word, value in pairwise(arguments) if word == "--source"]
    if find_reader(first) is None:
        return options[-1] if options else "auto", list(arguments)
    if options:
        raise ConfigError("the source is named twice", where=f"{first}, --source {options[-1]}")
    return first, list(arguments[1:])


def _description(name: str) -> str:
    """Return the text above the options in the help."""
    from ggcam.data.sources import READERS, command_line_name, find_reader

    head = (inspect.getdoc(prepare) or "").partition("\n\nArgs:")[0]
    reader = find_reader(name)
    if reader:
        return f"{head}\n\n{command_line_name(name)}: {reader.summary}\nExpected files: {reader.expected_files}."
    sources = "\n".join(f"  {command_line_name(key):10} {each.summary}" for key, each in READERS.items())
    return (
        f"{head}\n\nThe format is recognised from the files in RAW, or named: ggcam prepare SOURCE RAW OUT. A source "
        f"has more options: ggcam prepare SOURCE --help lists them. The sources:\n{sources}"
    )
