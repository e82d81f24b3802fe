"""Messages from the processes on a cluster."""

from ggcam.utils.ray_board import Board


def test_each_message_is_taken_once_and_in_order():
    board = Board()
    board.post("started")
    board.post("epoch", {"epoch": 0})
    assert board.take() == [("started", None), ("epoch", {"epoch": 0})]
    assert board.take() == []
    board.post("ended")
    assert board.take() == [("ended", None)]
