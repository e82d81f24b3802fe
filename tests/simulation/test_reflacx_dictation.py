"""What simulated readers say: places that are right, times that follow the gaze."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ggcam.data.case import Source
from ggcam.data.sources import reflacx
from ggcam.data.sources.dictation import read_vocabulary
from ggcam.data.sources.reflacx_readings import read_mentions
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate

CONFIG = SimulationConfig(cases=60, layout="reflacx", size="64x64", seed=5, workers=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("dictation") / "raw", CONFIG).root


@pytest.fixture(scope="module")
def source(root: Path) -> Source:
    return reflacx.read(root)


def test_every_finding_that_is_drawn_has_words_in_the_vocabulary(root: Path):
    """A case of each class names its findings: no sentence is about nothing."""
    named: Counter[str] = Counter()
    for folder in (root / "main_data").glob("P*"):
        if (folder / "fixations.csv").exists():
            findings = read_mentions(folder, Counter(), read_vocabulary(None, "reflacx"))
            named.update({mention.finding for mention in findings})
            sentences = (folder / "transcription.txt").read_text().split(" .")
            silent = [text for text in sentences if "clear" in text or "normal" in text or "No " in text]
            assert (not findings) == (len(silent) == len(sentences) - 1)
    assert set(named) == {
        *("Consolidation", "Enlarged cardiac silhouette", "Groundglass opacity", "Pleural abnormality"),
        "Pulmonary edema",
    }
    assert min(named.values()) >= 3


def test_sides_agree_with_the_ellipses_in_nearly_all_mentions(source: Source):
    agree, silent = [], 0
    for case in source.cases:
        chest = next(region for region in case.regions if region.name == "chest")
        middle = (chest.x0_px + chest.x1_px) / 2
        for mentions in case.mentions.values():
            for mention in mentions:
                own = [region for region in case.regions if region.name == mention.finding]
                sides = {"right" if region.x0_px + region.x1_px < 2 * middle else "left" for region in own}
                if sides and mention.finding != "Enlarged cardiac silhouette":
                    silent += not mention.side
                    agree += [mention.side in sides or len(sides) == 2] if mention.side else []
    assert len(agree) > 40
    assert np.mean(agree) > 0.9
    assert 0 < silent < 0.4 * len(agree)


def test_mentions_follow_the_gaze_by_a_variable_time(source: Source):
    lags_s = []
    for case in source.cases:
        for reading_id, mentions in case.mentions.items():
            gaze = case.readings[reading_id]
            for mention in mentions:
                inside = np.zeros(len(gaze), dtype=bool)
                for region in case.regions:
                    if region.name == mention.finding:
                        inside |= (
                            (gaze.x_px >= region.x0_px)
                            & (gaze.x_px < region.x1_px)
                            & (gaze.y_px >= region.y0_px)
                            & (gaze.y_px < region.y1_px)
                        )
                if inside.any():
                    lags_s.append(mention.start_s - float(np.median(gaze.start_s[inside])))
    assert len(lags_s) > 50
    assert 0.5 < np.median(lags_s) < 6
    assert np.std(lags_s) > 1


def test_words_do_not_overlap_and_are_in_order(root: Path):
    for path in (root / "main_data").glob("P*/timestamps_transcription.csv"):
        times = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(-2, -1), quotechar='"')
        assert (times[:, 0] < times[:, 1]).all()
        assert (np.diff(times[:, 0]) > 0).all()
        assert (times[1:, 0] >= times[:-1, 1] - 2e-3).all()
