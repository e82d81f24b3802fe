"""Data files and preprocessing of the original GG-CAM."""
