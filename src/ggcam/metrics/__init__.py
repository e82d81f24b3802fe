"""Metrics: pure functions from arrays to numbers, for classification, calibration, localisation and gaze agreement."""
