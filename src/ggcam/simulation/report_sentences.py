"""Sentences of a simulated report."""

from __future__ import annotations

from collections.abc import Sequence

from ggcam.simulation.findings import SimulatedFinding

_SENTENCES = {
    "consolidation": "There is a patchy opacity in the {side} lung, concerning for pneumonia.",
    "enlarged heart": "The cardiac silhouette is enlarged.",
    "basal haze": "Hazy opacity at the {side} base.",
    "effusion": "There is a small {side} pleural effusion.",
    "vascular redistribution": "Upper zone vessels are prominent on the {side}.",
}


def report_sentences(findings: Sequence[SimulatedFinding], width_px: int) -> list[tuple[str, SimulatedFinding | None]]:
    """Write a report about findings.

    Args:
        findings: findings to mention.
        width_px: width of the image in pixels; its left half shows the patient's right side.

    Returns:
        Distinct sentences in the order of the findings, each with the finding that it mentions; None for a sentence
        about none, such as the last one.
    """
    sentences: dict[str, SimulatedFinding | None] = {}
    for finding in findings:
        middle = (finding.region.x0_px + finding.region.x1_px) / 2
        side = "right" if middle < width_px / 2 else "left"
        sentences.setdefault(_SENTENCES[finding.region.name].format(side=side), finding)
    if not sentences:
        sentences = {"Lungs are clear.": None, "The cardiomediastinal silhouette is normal.": None}
    return [*sentences.items(), ("No pneumothorax.", None)]
