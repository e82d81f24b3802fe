"""Training: options, presets, the training loop, and opened runs."""
