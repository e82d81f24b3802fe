"""Columns of REFLACX 1.0.0's tables, in order."""

from __future__ import annotations

from collections.abc import Mapping

_PHASE_1 = (
    *("Airway wall thickening", "Atelectasis", "Consolidation", "Emphysema", "Enlarged cardiac silhouette", "Fibrosis"),
    *("Fracture", "Groundglass opacity", "Mass", "Nodule", "Other", "Pleural effusion", "Pleural thickening"),
    *("Pneumothorax", "Pulmonary edema", "Quality issue", "Support devices", "Wide mediastinum"),
)
_PHASES_2_AND_3 = (
    *("Abnormal mediastinal contour", "Acute fracture", "Atelectasis", "Consolidation", "Enlarged cardiac silhouette"),
    *("Enlarged hilum", "Groundglass opacity", "Hiatal hernia", "High lung volume / emphysema"),
    *("Interstitial lung disease", "Lung nodule or mass", "Other", "Pleural abnormality", "Pneumothorax"),
    *("Pulmonary edema", "Support devices"),
)
LABELS: Mapping[int, tuple[str, ...]] = {1: _PHASE_1, 2: _PHASES_2_AND_3, 3: _PHASES_2_AND_3}
"""Labels by phase."""

METADATA: Mapping[int, tuple[str, ...]] = {
    phase: (
        *("id", "split", "eye_tracking_data_discarded", "image", "dicom_id", "subject_id"),
        *("image_size_x", "image_size_y", *labels),
    )
    for phase, labels in LABELS.items()
}

CORNERS = ("xmin", "ymin", "xmax", "ymax")
FIXATIONS = (
    *("timestamp_start_fixation", "timestamp_end_fixation", "x_position", "y_position", "pupil_area_normalized"),
    *("angular_resolution_x_pixels_per_degree", "angular_resolution_y_pixels_per_degree"),
    *("window_width", "window_level"),
    *(f"{corner}_shown_from_image" for corner in CORNERS),
    *(f"{corner}_in_screen_coordinates" for corner in CORNERS),
)
WORDS = ("word", "timestamp_start_word", "timestamp_end_word")
