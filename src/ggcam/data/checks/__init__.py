"""Checks of a prepared folder's tables, images and gaze, for `ggcam inspect`."""
