"""Data: raw data sets, the prepared folder, and the batches that a network is trained on."""
