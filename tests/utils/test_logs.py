"""Warnings of a kind are printed once, with their count."""

from __future__ import annotations

import logging

from ggcam.utils.logs import repeated_warnings_counted

log = logging.getLogger("ggcam.test")


def messages(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_warnings_that_differ_only_in_their_values_are_counted(caplog):
    with repeated_warnings_counted():
        for name in ("a.dcm", "b.dcm", "100%.dcm"):
            log.warning("%s: dark (%d grey levels)", name, len(name))
            log.warning("%s: odd", name)
        log.warning("%s: once", "a")
        assert messages(caplog) == ["a.dcm: dark (5 grey levels)", "a.dcm: odd", "a: once"]
    assert messages(caplog)[3:] == ["2 more like this: a.dcm: dark (5 grey levels)", "2 more like this: a.dcm: odd"]


def test_other_warnings_are_all_printed_and_nothing_is_kept(caplog):
    for _ in range(2):
        with repeated_warnings_counted():
            log.warning("%d images are %s", 1, "dark")
            log.warning("%d images are %s", 2, "white")
            log.warning("%s: dark", "a")
    assert messages(caplog) == ["1 images are dark", "2 images are white", "a: dark"] * 2
