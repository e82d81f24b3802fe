"""Columns of EGD-CXR 1.0.0's tables, in order."""

from __future__ import annotations

CHX_LABELS = (
    *("atelectasis", "cardiomegaly", "consolidation", "edema", "enlarged_cardiomediastinum", "fracture"),
    *("lung_lesion", "lung_opacity", "no_finding", "pleural_effusion", "pleural_other", "pneumonia"),
    *("pneumothorax", "support_devices"),
)

MASTER = (
    *("dicom_id", "path", "study_id", "patient_id", "stay_id", "gender", "anchor_age"),
    *("image_top_pad", "image_bottom_pad", "image_left_pad", "image_right_pad"),
    *(name for number in range(1, 10) for name in (f"dx{number}", f"dx{number}_icd")),
    *("normal_reports", "Normal", "CHF", "pneumonia", "consolidation", "enlarged_cardiac_silhouette"),
    *("linear__patchy_atelectasis", "lobar__segmental_collapse"),
    "not_otherwise_specified_opacity___pleural__parenchymal_opacity__",
    *("pleural_effusion_or_thickening", "pulmonary_edema__hazy_opacity", "normal_anatomically"),
    *("elevated_hemidiaphragm", "hyperaeration", "vascular_redistribution"),
    *(f"{label}__chx" for label in CHX_LABELS),
    "cxr_exam_indication",
)

FIXATIONS = (
    *("SESSION_ID", "MEDIA_ID", "DICOM_ID", "CNT", "Time (in secs)", "TIMETICK(f=10000000)"),
    *("FPOGX", "FPOGY", "FPOGS", "FPOGD", "FPOGID", "FPOGV", "BPOGX", "BPOGY", "BPOGV"),
    *("LPCX", "LPCY", "LPD", "LPS", "LPV", "RPCX", "RPCY", "RPD", "RPS", "RPV"),
    *("BKID", "BKDUR", "BKPMIN", "LPMM", "LPMMV", "RPMM", "RPMMV"),
    *("SACCADE_MAG", "SACCADE_DIR", "VID_FRAME", "X_ORIGINAL", "Y_ORIGINAL"),
)

BOUNDING_BOXES = ("dicom_id", "bbox_name", "x1", "x2", "y1", "y2")
FINDINGS = ("dicom_id", "name", "kind", "x0_px", "y0_px", "x1_px", "y1_px")
SPLIT = ("id", "split")
