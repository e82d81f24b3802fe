"""The original GG-CAM's data files and preprocessing."""
