"""Messages from the processes on a Ray cluster to the command that has started them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

Message = tuple[str, Any]
"""Kind of a message, and what it says."""


class Board:
    """An actor on which processes post messages, until the command takes them."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    def post(self, kind: str, content: Any = None) -> None:
        """Post a message.

        Args:
            kind: kind of the message.
            content: what it says.
        """
        self._messages.append((kind, content))

    def take(self) -> list[Message]:
        """Remove the messages from the board.

        Returns:
            The messages since the last call, in the order in which they were posted.
        """
        messages, self._messages = self._messages, []
        return messages


def start_board(ray: Any) -> Any:
    """Start a board on this machine, so that it is not lost with another one.

    Args:
        ray: the connected module, from :func:`ggcam.utils.ray_cluster.ray_cluster`.

    Returns:
        Handle of the actor.
    """
    strategies: Any = import_module("ray.util.scheduling_strategies")
    here = strategies.NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()
