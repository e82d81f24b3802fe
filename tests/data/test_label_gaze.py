"""Fixations weighted for each label, on simulated REFLACX."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from ggcam.data.anatomical_prior import prior_weights
from ggcam.data.label_gaze import Scanpath, is_weighted_by_default, label_weights, mentions_by_case, with_label_gaze
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.view_config import ViewConfig
from ggcam.data.views import apply_view
from ggcam.errors import TableError
from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.mentions import Mention, time_weights, word_weights
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate

CUES = ("prior", "words", "time")
POINTS = ["case_id", "reading_id", "x_px", "y_px", "start_s"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    root = tmp_path_factory.mktemp("label_gaze")
    simulate(root / "raw", SimulationConfig(cases=40, layout="reflacx", size="64x64", seed=3, workers=1))
    return prepare(root / "raw", root / "data", PrepareConfig(size="64x64", split="source", workers=1))


def scanpath(n: int = 6, readings: int = 2) -> Scanpath:
    rng = np.random.default_rng(n)
    return Scanpath(
        across=rng.random(n),
        down=rng.random(n),
        start_s=np.arange(n, dtype=np.float64),
        duration_s=rng.random(n),
        reading_id=np.resize([f"r{number}" for number in range(readings)], n),
    )


@pytest.mark.parametrize("cues", [(), ("prior",), ("words",), ("time",), ("prior", "time"), CUES])
def test_weights_are_the_product_of_the_cues(cues):
    path = scanpath()
    mentions = {
        "r0": [Mention("Pneumothorax", 2.0, 2.5, "left"), Mention("Pneumothorax", 20.0, 21.0, "right", "upper")],
        "r1": [Mention("Pneumothorax", 4.0, 4.5, "", "upper")],
    }
    weights = label_weights(path, "Pneumothorax", mentions, cues)
    for at, found in enumerate(weights.tolist()):
        here, there = path.across[[at]], path.down[[at]]
        factors = [1.0]
        if set(cues) & {"words", "time"}:
            factors = []
            for mention in mentions[path.reading_id[at]]:
                start = path.start_s[[at]]
                words = float(word_weights(here, there, mention)[0]) if "words" in cues else 1.0
                time = float(time_weights(start, start + path.duration_s[at], mention)[0]) if "time" in cues else 1.0
                factors.append(words * time)
        prior = float(prior_weights("Pneumothorax", here, there)[0]) if "prior" in cues else 1.0
        assert found == pytest.approx(prior * max(factors))


def test_a_reading_that_does_not_name_the_finding_gives_way_to_one_that_does():
    path, mention = scanpath(), Mention("a", 2.0, 2.5)
    weights = label_weights(path, "a", {"r0": [mention]}, ("time",))
    assert (weights[path.reading_id == "r1"] == 0).all()
    assert (weights[path.reading_id == "r0"] > 0).all()
    # Without any mention, with a mention in a reading without fixations, or by anatomy alone, all of them count.
    for mentions, cues in (({}, CUES), ({"r9": [mention]}, CUES), ({"r0": [mention]}, ("prior",))):
        assert (label_weights(path, "a", mentions, cues) == 1).all()


def test_each_label_of_a_case_has_the_scanpath_of_the_case(data):
    weighted = with_label_gaze(data, CUES)
    before = dict(iter(data.fixations.groupby("case_id")))
    after = dict(iter(weighted.fixations.groupby("case_id")))
    assert set(before) == set(after)
    several = 0
    for row, case_id in enumerate(data.cases["case_id"]):
        if case_id not in before:
            continue
        present = {name for name, value in zip(data.class_names, data.label_matrix[row], strict=True) if value == 1}
        found = after[case_id]
        assert set(found["label"].dropna()) == present
        several += len(present) > 1
        for _, rows in found.groupby("label", dropna=False):
            pd.testing.assert_frame_equal(
                rows[POINTS].reset_index(drop=True), before[case_id][POINTS].reset_index(drop=True)
            )
            assert (rows["duration_s"].to_numpy() <= before[case_id]["duration_s"].to_numpy() + 1e-12).all()
            assert rows["duration_s"].sum() > 0
    assert several > 5
    assert data.fixations["label"].isna().all()  # the folder's own table is as it was


def test_without_cues_the_whole_gaze_guides_each_label(data):
    def maps(table: PreparedData, rule: str) -> torch.Tensor:
        gaze = [table.gaze[case_id] for case_id in cases]
        batch = GazeBatch.from_fixations(
            gaze, data.frame.shape, class_names=data.class_names, label_gaze=rule, dtype=torch.float64
        )
        return batch.for_labels(pairs[:, 0], pairs[:, 1]).density((8, 8))

    cases = [case_id for case_id in data.cases["case_id"] if case_id in data.gaze]
    rows = data.cases["case_id"].isin(cases).to_numpy()
    pairs = torch.nonzero(torch.tensor(data.label_matrix[rows] == 1))
    whole = maps(data, "all")
    torch.testing.assert_close(maps(with_label_gaze(data, ()), "own-else-all"), whole)
    assert (maps(with_label_gaze(data, CUES), "own-else-all") - whole).abs().max() > 0.01


def test_weights_move_gaze_towards_the_finding(data):
    shares = {"before": [], "after": []}
    for name, table in (("before", with_label_gaze(data, ())), ("after", with_label_gaze(data, CUES))):
        for (case_id, label), rows in table.fixations.groupby(["case_id", "label"]):
            regions = [region for region in data.boxes[str(case_id)] if region.name == label]
            inside = np.zeros(len(rows), bool)
            for region in regions:
                inside |= rows["x_px"].between(region.x0_px, region.x1_px) & rows["y_px"].between(
                    region.y0_px, region.y1_px
                )
            if regions:
                shares[name].append(rows["duration_s"][inside].sum() / rows["duration_s"].sum())
    assert len(shares["after"]) > 20
    assert np.mean(shares["after"]) > 1.5 * np.mean(shares["before"])


def test_shuffled_gaze_brings_its_labels_and_weights_along(data):
    weighted = with_label_gaze(data, CUES)
    view = apply_view(weighted, ViewConfig(control="shuffled-gaze"))
    trained = data.cases.loc[data.cases["split"] != "test", "case_id"]
    columns = ["x_px", "y_px", "duration_s"]
    before, after = (
        table.loc[table["case_id"].isin(trained), columns].sort_values(columns).to_numpy()
        for table in (weighted.fixations, view.fixations)
    )
    np.testing.assert_array_equal(before, after)


def test_gaze_is_weighted_by_default_where_only_the_dictation_tells(data, prepared):
    assert is_weighted_by_default(data)
    assert not is_weighted_by_default(replace(data, mentions=data.mentions.head(0)))
    labelled = data.fixations.assign(label=np.where(np.arange(len(data.fixations)) == 3, "Mass", None))
    assert not is_weighted_by_default(replace(data, fixations=labelled))
    single = load_prepared(prepared)
    assert not is_weighted_by_default(single)
    assert with_label_gaze(single, CUES) is single


def test_mentions_survive_preparing_and_loading(data):
    table = load_prepared(data.root).mentions
    pd.testing.assert_frame_equal(table, data.mentions)
    assert {"left", "right", "both"} <= set(table["side"])
    assert {"upper", "lower"} <= set(table["height"])
    grouped = mentions_by_case(data)
    assert sum(len(named) for readings in grouped.values() for named in readings.values()) == len(table)
    readings = data.fixations.groupby("case_id")["reading_id"].unique()
    for (case_id, label), named in grouped.items():
        assert set(named) <= set(readings[case_id])
        assert all(mention.finding == label for mentions in named.values() for mention in mentions)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("case_id", "none", r"case_id is missing from cases.parquet(.|\n)*mentions.parquet:2"),
        ("start_s", float("inf"), r"start_s is not a time(.|\n)*mentions.parquet:2"),
        ("start_s", 1e6, r"start_s is above end_s(.|\n)*:2"),
        ("end_s", 1e30, r"end_s is not a time"),
        ("side", "top", r"unknown side(.|\n)*'left', 'right', 'both'\n  got: 'top'"),
        ("height", "left", r"unknown height(.|\n)*'upper'"),
    ],
)
def test_damaged_mentions_are_refused_with_the_place(data, column, value, message):
    path = data.root / "mentions.parquet"
    whole = path.read_bytes()
    values = data.mentions[column].tolist()
    values[2] = value
    data.mentions.assign(**{column: values}).to_parquet(path, index=False)
    try:
        with pytest.raises(TableError, match=message):
            load_prepared(data.root)
    finally:
        path.write_bytes(whole)
