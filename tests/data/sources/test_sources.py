import inspect
import re
from pathlib import Path

import pytest

from data.sources.egd_fixture import three_cases
from data.sources.test_folder import add_image
from ggcam.data import sources
from ggcam.errors import ConfigError, DataError, MissingFileError


def test_each_format_is_recognised(tmp_path, real_data):
    (tmp_path / "egd").mkdir()
    egd, _ = three_cases(tmp_path / "egd")
    root = egd.write()
    assert sources.detect(root) == "egd_cxr"
    assert sources.read(root).name == "egd_cxr"
    # An EGD-CXR folder has folders of images in it, and stays one.
    add_image(root, "inclusion/a.png", "other/b.png")
    assert sources.detect(root) == "egd_cxr"
    assert sources.detect(real_data / "paediatric_pneumonia") == "folder"
    add_image(tmp_path, "classes/x/a.png")
    assert sources.detect(tmp_path / "classes") == "folder"


def test_an_unknown_format_is_reported_with_the_files_that_each_format_needs(tmp_path):
    add_image(tmp_path, ".cache/x.png", "loose.png")
    with pytest.raises(DataError, match="format of the folder is unknown") as caught:
        sources.detect(tmp_path)
    for name, reader in sources.READERS.items():
        assert f"{sources.command_line_name(name)}: {reader.expected_files}" in str(caught.value)


def test_a_missing_folder_is_reported(tmp_path):
    for root in (tmp_path / "nowhere", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        with pytest.raises(MissingFileError, match="the folder does not exist"):
            sources.read(root)


def test_an_unknown_source_lists_the_valid_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"auto, egd-cxr, .*, folder"):
        sources.read(tmp_path, "egd")


def test_an_option_of_another_source_lists_the_valid_ones(tmp_path):
    with pytest.raises(ConfigError, match="folder has no option --images") as caught:
        sources.read(tmp_path, "folder", images=tmp_path)
    assert "--labels, --fixations, --regions, --masks, --uncertain, --skip-missing" in str(caught.value)


def test_options_reach_the_reader(tmp_path):
    egd, ids = three_cases(tmp_path)
    egd.case("CHF", image=False)
    assert [case.case_id for case in sources.read(egd.write(), skip_missing=True).cases] == ids


def test_the_docs_list_every_option_and_its_sources():
    text = (Path(__file__).parents[3] / "docs" / "reference" / "sources.md").read_text()
    head, _, *rows = text[text.index("| option |") :].split("\n\n")[0].splitlines()
    columns = [cell.strip() for cell in head.split("|")[2:-2]]
    documented = {name: set() for name in columns}
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        for flag in re.findall(r"--([a-z0-9-]+)", cells[0]):
            for name, cell in zip(columns, cells[1:-1], strict=True):
                documented[name] |= {flag.replace("-", "_")} if cell == "x" else set()
    assert documented == {
        name: set(list(inspect.signature(reader.read).parameters)[1:]) for name, reader in sources.READERS.items()
    }
