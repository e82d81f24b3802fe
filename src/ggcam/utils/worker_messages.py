"""Objects sent through the pipes between a process and its workers; arrays are not copied into the pickle."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from typing import IO, NamedTuple


class Message(NamedTuple):
    """A received object that is not unpickled yet.

    Attributes:
        body: the pickle.
        buffers: content of the arrays that it refers to.
    """

    body: bytearray
    buffers: Sequence[bytearray]

    def load(self) -> object:
        """Unpickle the object, which imports the modules that it names.

        Returns:
            The object.
        """
        return pickle.loads(self.body, buffers=self.buffers)


def send(stream: IO[bytes], item: object) -> None:
    """Write an object to a pipe.

    Args:
        stream: the pipe.
        item: any object that can be pickled.

    Raises:
        BrokenPipeError: the other process has ended.
        Exception: the object cannot be pickled; nothing was written.
    """
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(item, protocol=5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    stream.write(struct.pack(f"<{len(raw) + 2}Q", len(raw), len(body), *(each.nbytes for each in raw)))
    for part in (body, *raw):
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> Message:
    """Read an object from a pipe; waits until there is one.

    Args:
        stream: the pipe.

    Returns:
        The object, still pickled.

    Raises:
        EOFError: the other process has ended.
    """
    (count,) = struct.unpack("<Q", _read(stream, 8))
    sizes = struct.unpack(f"<{count + 1}Q", _read(stream, 8 * (count + 1)))
    body, *buffers = (_read(stream, size) for size in sizes)
    return Message(body, buffers)


def _read(stream: IO[bytes], size: int) -> bytearray:
    content = bytearray(size)
    view, filled = memoryview(content), 0
    while filled < size:
        count = stream.readinto(view[filled:])  # pyright: ignore[reportAttributeAccessIssue]
        if not count:
            raise EOFError
        filled += count
    return content
