"""Expected outcome of every metric on each degenerate input, where it is not numbers throughout."""

from __future__ import annotations

NUMBERS, SOME_NAN, ALL_NAN, EMPTY, ERROR = "numbers", "some NaN", "all NaN", "nothing", "ValueError"
"""Outcomes: numbers throughout, NaN in some places or in all, an empty result, or a clear error."""

Outcomes = dict[str, str]
"""Name of a world -> outcome."""


def _same(outcomes: Outcomes, *metrics: str) -> dict[str, Outcomes]:
    return dict.fromkeys(metrics, outcomes)


EXPECTED: dict[str, Outcomes] = {
    **_same(
        {"one class": ALL_NAN, "NaN": ERROR, "no case": ERROR},
        "auroc_per_class",
        "macro_auroc",
        "macro_auroc_ovo",
        "auroc_per_label",
        "macro_auroc_multilabel",
        "weighted_macro_auroc",
        "weighted_macro_auroc_ovo",
    ),
    **_same(
        {"no case": ALL_NAN},
        "by_image",
        "known_mean",
        "resampled_seeds",
        "weighted_mean",
        "weighted_balanced_accuracy",
        "weighted_macro_f1",
    ),
    **_same(
        {"NaN": ERROR, "no case": ALL_NAN},
        "operating_point",
        "seed_test",
        "weighted_auprc",
        "weighted_precision_recall",
        "weighted_ece",
        "auprc",
    ),
    **_same(
        {"nothing seen": ALL_NAN, "NaN": ERROR, "no case": EMPTY},
        "energy_inside",
        "iou_curve",
        "mean_iou",
        "best_iou",
        "cell_average_precision",
        "shuffled_chance",
    ),
    **_same(
        {"nothing seen": ALL_NAN, "NaN": ERROR, "NaN gaze": ERROR, "no case": EMPTY},
        "nss",
        "correlation",
        "kl_divergence",
        "similarity",
        "information_gain",
        "fixation_auc",
    ),
    **_same(
        {"NaN": ERROR, "no case": ERROR},
        "brier_per_case",
        "nll_per_case",
        "fit_temperature",
        "fit_label_temperatures",
        "top_label",
        "auprc_per_label",
        "weighted_micro_auroc",
        "weighted_macro_auprc",
    ),
    **_same(
        {"NaN": ERROR, "no case": EMPTY}, "bin_of", "peak_cell", "pointing_game", "map_density", "weighted_reliability"
    ),
    **_same(
        {"one class": ALL_NAN, "NaN": ERROR, "no case": ALL_NAN},
        "auroc",
        "choose_threshold",
        "on_known",
        "weighted_auroc",
        "weighted_sensitivity",
        "weighted_roc",
    ),
    **_same(
        {"one patient": SOME_NAN, "no case": ERROR},
        "paired_bootstrap_test",
        "bootstrap_interval",
        "bootstrap_intervals",
    ),
    **_same(
        {"one class": SOME_NAN, "NaN": ERROR, "no case": ERROR},
        "auprc_per_class",
        "classification_report",
        "label_metrics",
    ),
    **_same({"no case": EMPTY}, "mask_to_grid", "size_group", "shuffled_partners"),
    **_same({"NaN": ERROR}, "deletion_insertion", "regions_to_mask"),
    **_same({"NaN": SOME_NAN, "no case": EMPTY}, "scaled_probabilities"),
    **_same({"NaN gaze": SOME_NAN, "no case": EMPTY}, "GazeMaps"),
    **_same(
        {"one patient": SOME_NAN, "nothing seen": ALL_NAN, "NaN": ERROR, "NaN gaze": ERROR, "no case": EMPTY},
        "agreement",
    ),
    **_same(
        {"one patient": ALL_NAN, "nothing seen": ALL_NAN, "NaN": ERROR, "NaN gaze": ERROR, "no case": EMPTY},
        "shuffled_agreement",
    ),
    **_same(
        {"one patient": SOME_NAN, "nothing seen": ALL_NAN, "NaN gaze": ERROR, "no case": EMPTY}, "reader_agreement"
    ),
    **_same(
        {
            "sane": SOME_NAN,
            "one class": SOME_NAN,
            "one patient": SOME_NAN,
            "constant": SOME_NAN,
            "nothing seen": SOME_NAN,
            "NaN": ERROR,
            "NaN gaze": SOME_NAN,
            "no case": SOME_NAN,
        },
    ),
    **_same({}, "confusion_matrix"),
    **_same(
        {
            "sane": SOME_NAN,
            "one class": SOME_NAN,
            "one patient": SOME_NAN,
            "constant": SOME_NAN,
            "nothing seen": SOME_NAN,
            "NaN": SOME_NAN,
            "NaN gaze": SOME_NAN,
            "no case": SOME_NAN,
        },
        "precision_recall",
    ),
    **_same({"NaN": SOME_NAN, "no case": EMPTY}, "holm"),
    **_same({"one class": SOME_NAN, "one patient": SOME_NAN, "NaN": ERROR, "no case": ERROR}, "class_curves"),
    **_same({"one class": SOME_NAN, "one patient": SOME_NAN, "NaN": ERROR, "no case": SOME_NAN}, "DeLong"),
    **_same({"one patient": EMPTY, "no case": ERROR}, "bootstrap_draws"),
    **_same({"nothing seen": ALL_NAN, "no case": EMPTY}, "chance_level"),
    **_same({"constant": ALL_NAN, "nothing seen": ALL_NAN, "NaN": ERROR, "no case": EMPTY}, "peak_distance"),
    **_same({"constant": SOME_NAN, "nothing seen": EMPTY, "NaN": ERROR, "no case": EMPTY}, "Pointing"),
    **_same({"constant": SOME_NAN, "nothing seen": EMPTY, "no case": EMPTY}, "anatomy_pointing"),
    **_same(
        {
            "sane": SOME_NAN,
            "one class": SOME_NAN,
            "one patient": SOME_NAN,
            "constant": SOME_NAN,
            "nothing seen": SOME_NAN,
            "NaN": ERROR,
            "NaN gaze": SOME_NAN,
            "no case": ERROR,
        },
        "multilabel_report",
    ),
    **_same({"one class": ALL_NAN, "no case": ALL_NAN}, "weighted_mcc"),
}
"""Function -> outcomes; a world that is not listed gives numbers throughout."""
