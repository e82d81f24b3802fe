"""Gaze: fixations, fixation detection, and attention maps."""
