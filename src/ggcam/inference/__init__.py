"""Inference: predict images with a trained network, on any engine, and export it."""
