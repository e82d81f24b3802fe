"""Benchmarks: ggcam against what a user would run instead, in turn in one process."""
