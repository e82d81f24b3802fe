"""Raw data set -> prepared folder: parallel, atomic and resumable."""
