"""Readers' options as flags, through the command line."""

import numpy as np
import pytest

from data.sources.reflacx_fixture import Reflacx
from data.sources.test_folder import add_image, write_text
from ggcam.cli import main
from ggcam.data.prepared import load_prepared

SMALL = ["--size", "64x64", "--workers", "1"]


def run(*arguments: object) -> int:
    """Exit code of a command."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def raw(tmp_path):
    data = Reflacx(tmp_path / "raw")
    for number in range(6):
        image = data.image(np.full((60, 50), 20 * number + 10, np.uint8))
        reading = data.reading(image, 2 + number % 2, Atelectasis=number, Pneumothorax=5 - number)
        data.look(reading, 10, 20)
    return data.write()


def test_reflacx_is_prepared_inspected_and_trained_on(raw, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("prepare", raw, out, "--phases", 2, 3, "--readings", "separate", "--min-certainty", 4, *SMALL) == 0
    assert "Atelectasis" in capsys.readouterr().out
    assert load_prepared(out).label_matrix[:, 2].tolist() == [0, 0, 1, 0, 0, 1]
    assert run("inspect", out, "--out", tmp_path / "sheet.png", "--per-class", 1) == 0
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert (
        run("train", out, "--backbone", "test_resnet", "--epochs", 1, "--out", tmp_path / "run", "--name", "mine") == 0
    )
    assert (tmp_path / "run" / "mine" / "metrics.json").is_file()


def test_a_table_is_prepared_by_its_flags(tmp_path):
    names = [f"{side}/{number}.png" for side in "ab" for number in range(3)]
    add_image(tmp_path / "raw", *names, height=40, width=30)
    rows = [f"{name},130,220" for name in names]
    table = write_text(tmp_path / "gaze.csv", "file,GX,GY", *rows)
    flags = ["--fixations", table, "--columns", "image=file,x=GX,y=GY", "--units", "screen_px"]
    flags += ["--image-rect", 100, 200, 160, 280, "--px-per-degree", 36]
    assert run("prepare", tmp_path / "raw", tmp_path / "out", "--source", "table", *flags, *SMALL) == 0
    data = load_prepared(tmp_path / "out")
    case = data.cases.iloc[0]
    gaze = data.gaze[case["case_id"]]
    assert gaze.x_px[0] == pytest.approx(15 * case["scale_x"] + case["shift_x_px"])
    assert gaze.y_px[0] == pytest.approx(10 * case["scale_y"] + case["shift_y_px"])
    assert gaze.px_per_degree_x[0] == pytest.approx(18 * case["scale_x"])


def test_a_flag_of_another_source_is_refused(raw, tmp_path, capsys):
    assert run("prepare", raw, tmp_path / "out", "--axis-order", "row-first") == 2
    assert "reflacx has no option --axis-order" in capsys.readouterr().err
