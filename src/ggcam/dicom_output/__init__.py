"""Predictions as DICOM objects that belong to the study of the image: maps, reports and pictures."""
