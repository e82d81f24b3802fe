"""Damaged and hostile files: every reader must read a mutated file, or refuse it with an error of ggcam.

    python -m benchmarks.fuzz [--mutations N] [--kinds KIND ...] [--seed S] [--repeat KIND:NUMBER]

A mutated file is read in a process with limits of time (10 s) and memory (2 GB). Anything but success or a `GGCamError`
is a failure: it is listed with its kind and number, by which `--repeat` reads the same file again.
"""
