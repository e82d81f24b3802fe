"""What a reader says of an image."""

from __future__ import annotations

from collections.abc import Sequence

from ggcam.simulation.findings import Finding

_PHRASES = {
    "consolidation": "There is a patchy opacity in the {side} lung, concerning for pneumonia.",
    "enlarged heart": "The cardiac silhouette is enlarged.",
    "basal haze": "Hazy opacity at the {side} base.",
    "effusion": "There is a small {side} pleural effusion.",
    "vascular redistribution": "Upper zone vessels are prominent on the {side}.",
}


def spoken_phrases(findings: Sequence[Finding], width_px: int) -> list[tuple[str, Finding | None]]:
    """Sentences in the order of the findings, none twice, with the finding that each names; the last names none.

    Args:
        findings: what the reader has to tell.
        width_px: of the image; the patient's right is at its left.
    """
    phrases: dict[str, Finding | None] = {}
    for finding in findings:
        middle = (finding.region.x0_px + finding.region.x1_px) / 2
        side = "right" if middle < width_px / 2 else "left"
        phrases.setdefault(_PHRASES[finding.region.name].format(side=side), finding)
    if not phrases:
        phrases = {"Lungs are clear.": None, "The cardiomediastinal silhouette is normal.": None}
    return [*phrases.items(), ("No pneumothorax.", None)]
