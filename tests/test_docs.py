"""Every code block of the documentation runs, its links lead somewhere, and its site can be built."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ggcam
from doc_pages import DOCS, ROOT, blocks, run_page
from ggcam.commands.dicomweb_options import DicomwebOptions
from ggcam.errors import DicomwebUnavailableError

sys.path.insert(0, str(DOCS))
check_links = importlib.import_module("check_links")
sys.path.remove(str(DOCS))

SIMPLE_PAGES = (
    "method.md",
    "reference/prepared-folder.md",
    "reference/run-folder.md",
    "evidence.md",
    "label-gaze.md",
    "guides/backbones.md",
    "guidances.md",
    "guides/pretrained.md",
    "guides/unusual-images.md",
    "guides/dicom-results.md",
    "guides/export.md",
)
"""Pages that need no more than prepared data and a run."""

LANGUAGES = {"sh", "python", "text", "{toctree}", "{eval-rst}"}


@pytest.fixture(scope="session")
def reflacx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated data set in REFLACX's raw layout."""
    root = tmp_path_factory.mktemp("reflacx") / "raw"
    ggcam.simulate(root, ggcam.SimulationConfig(cases=40, size="96x80", layout="reflacx", seed=3, workers=1))
    return root


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; figures are drawn without a screen, and modules imported from it are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]
    if plt := sys.modules.get("matplotlib.pyplot"):
        plt.close("all")


@pytest.fixture
def prepared_here(folder: Path, simulated: Path, prepared: Path, trained: Path) -> Path:
    """The current folder with raw data, a prepared folder, a finished run and one image, as the guides assume."""
    (folder / "raw").symlink_to(simulated, target_is_directory=True)
    shutil.copytree(prepared, folder / "DATA")
    shutil.copytree(trained, folder / "run" / "mine")
    shutil.copy(next(simulated.rglob("*.dcm")), folder / "chest.dcm")
    return folder


@pytest.fixture
def images_here(folder: Path) -> Path:
    """The current folder with images of two classes in one folder each."""
    cv2 = importlib.import_module("cv2")
    for level, name in enumerate(("healthy", "ill")):
        (folder / "my_images" / name).mkdir(parents=True)
        for number in range(1, 13):
            pixels = np.full((64, 64), 20 * number + level, np.uint8)
            cv2.imwrite(str(folder / "my_images" / name / f"{number:04d}.png"), pixels)
    return folder


@pytest.fixture
def physionet_here(folder: Path, simulated: Path) -> Path:
    """The current folder with simulated data where the guide has the downloads."""
    _lay_out(simulated, folder / "physionet.org/files/egd-cxr/1.0.0", folder / "physionet.org/files/mimic-cxr/2.0.0")
    return folder


def _lay_out(simulated: Path, tables: Path, images: Path) -> None:
    """Copy a simulated data set as it is downloaded: the tables here, the images there."""
    shutil.copytree(simulated, tables, ignore=shutil.ignore_patterns("files"))
    images.mkdir(parents=True, exist_ok=True)
    shutil.copytree(simulated / "files", images / "files", dirs_exist_ok=True)


def test_tutorial(folder: Path):
    found = run_page(DOCS / "tutorial.md")
    assert found["heatmap"].shape == (96, 80)
    assert (folder / "DATA-inspect.html").is_file()
    assert len(pd.read_csv(folder / "answers/predictions.csv")) == 40


def test_own_images(images_here: Path):
    run_page(DOCS / "guides/own-images.md")
    cases = ggcam.load_prepared(images_here / "GAZE").cases
    assert cases["has_gaze"].sum() == 2
    assert (images_here / "run/guided/report.html").is_file()


def test_egd_cxr(physionet_here: Path):
    run_page(DOCS / "guides/egd-cxr.md")
    assert (physionet_here / "run/egd/report.html").is_file()


def test_serve(prepared_here: Path):
    found = run_page(DOCS / "guides/serve.md")
    assert len(set(found["predicted"])) == 1


def test_pacs(prepared_here: Path):
    found = run_page(DOCS / "guides/pacs.md")
    with pytest.raises(DicomwebUnavailableError):
        found["look_once"]("http://127.0.0.1:1/dicom-web")
    text = (DOCS / "guides/pacs.md").read_text(encoding="utf-8")
    options = set(re.findall(r"`--([a-z-]+)", text)) - {"host"}
    assert options <= {field.name.replace("_", "-") for field in dataclasses.fields(DicomwebOptions)}


def test_check_data(prepared_here: Path):
    run_page(DOCS / "guides/check-data.md")
    assert (prepared_here / "DATA-inspect.png").is_file()
    assert (prepared_here / "DATA-inspect.html").is_file()


def test_real_data(folder: Path, simulated: Path, reflacx: Path):
    _lay_out(simulated, folder / "egd-cxr/1.0.0", folder / "mimic-cxr/2.0.0")
    _lay_out(reflacx, folder / "reflacx-xray-localization/1.0.0", folder / "mimic-cxr/2.0.0")
    run_page(DOCS / "guides/real-data.md")
    assert ggcam.load_prepared(folder / "REFLACX").multi_label


def test_study_and_its_notebook(prepared_here: Path):
    found = run_page(DOCS / "guides/study.md")
    assert set(found["macro"]["arm"]) == {"none", "ggcam-cc"}
    assert found["result"].reused == 2
    notebook = run_page(DOCS / "notebooks/read-a-study.ipynb")
    pd.testing.assert_frame_equal(notebook["runs"], found["runs"])
    assert list(notebook["macro"].columns) == ["ggcam-cc", "none"]
    assert notebook["shown"]["arm"].tolist() == ["ggcam-cc"]


def test_quick_start_notebook(folder: Path):
    found = run_page(DOCS / "notebooks/quick-start.ipynb")
    assert found["results"]["ggcam-cc"].cam["pneumonia"].shape == found["image"].shape == (64, 64)
    assert (folder / "run/ggcam-cc/report.html").is_file()


def test_notebook_guide(prepared_here: Path):
    found = run_page(DOCS / "guides/notebook.md")
    assert (prepared_here / "case.png").is_file()
    assert (prepared_here / "answer/chest.json").is_file()
    assert len(found["evaluation"].predictions) == (found["data"].cases["split"] == "test").sum()


def test_own_training_loop(prepared_here: Path):
    found = run_page(DOCS / "guides/own-training-loop.md")
    assert 0 < found["loss"].item() < 2
    assert found["output"].cam.shape[:2] == (2, 3)


def test_own_guidance(prepared_here: Path):
    found = run_page(DOCS / "guides/own-guidance.md")
    assert type(found["guidance"]).__name__ == "EnergyGuidance"
    history = ggcam.open_run("run/energy").history
    assert (history["train_guidance"] > 0).all()
    assert (prepared_here / "answers/predictions.csv").is_file()


def test_own_source(images_here: Path):
    (images_here / "my_images").rename("my_study")
    rows: list[dict[str, str]] = []
    for name in ("healthy", "ill"):
        for path in sorted(Path("my_study", name).glob("*.png")):
            file = path.rename(path.with_name(f"{name}-{path.name}")).relative_to("my_study")
            rows.append({"file": str(file), "patient": file.stem, "diagnosis": name, "gaze": "10 20 0.3; 30 40 0.2"})
    rows[0]["gaze"] = ""
    pd.DataFrame(rows).to_csv("my_study/study.csv", index=False)
    run_page(DOCS / "guides/own-source.md")
    data = ggcam.load_prepared("DATA")
    assert data.class_names == ("healthy", "ill")
    assert len(data.fixations) == 46
    assert data.cases["has_gaze"].sum() == 23


def test_deploy(prepared_here: Path):
    pytest.importorskip("onnxruntime")
    found = run_page(DOCS / "guides/deploy.md")
    table = pd.read_csv(prepared_here / "answers/predictions.csv")
    exported = pd.read_csv(prepared_here / "answers_onnx/predictions.csv")
    probabilities = [column for column in table if column.startswith("probability")]
    np.testing.assert_allclose(table[probabilities], exported[probabilities], atol=1e-3)
    assert found["predictor"].engine == "onnxruntime"


@pytest.mark.parametrize("name", SIMPLE_PAGES)
def test_page_that_needs_no_more_than_prepared_data_and_a_run(name: str, prepared_here: Path):
    run_page(DOCS / name)


RUN_BY: dict[str, Callable[..., None]] = {
    "tutorial.md": test_tutorial,
    "guides/own-images.md": test_own_images,
    "guides/egd-cxr.md": test_egd_cxr,
    "guides/check-data.md": test_check_data,
    "guides/real-data.md": test_real_data,
    "guides/study.md": test_study_and_its_notebook,
    "guides/notebook.md": test_notebook_guide,
    "guides/own-training-loop.md": test_own_training_loop,
    "guides/own-guidance.md": test_own_guidance,
    "guides/own-source.md": test_own_source,
    "guides/deploy.md": test_deploy,
    "guides/pacs.md": test_pacs,
    "guides/serve.md": test_serve,
    **dict.fromkeys(
        SIMPLE_PAGES,
        test_page_that_needs_no_more_than_prepared_data_and_a_run,
    ),
}


def test_every_page_with_code_is_run():
    pages = [page for page in DOCS.rglob("*.md") if "_build" not in page.parts]
    with_code = {str(page.relative_to(DOCS)) for page in pages if {"sh", "python"} & {b.language for b in blocks(page)}}
    assert with_code == set(RUN_BY)


def test_every_block_has_a_known_language():
    for page in [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]:
        if "_build" not in page.parts:
            assert {block.language for block in blocks(page)} <= LANGUAGES, page


def test_notebooks_are_committed_without_output():
    for path in (DOCS / "notebooks").glob("*.ipynb"):
        assert '"output_type"' not in path.read_text(encoding="utf-8")


def test_no_link_is_dead():
    assert check_links.dead_links(ROOT) == []


def test_a_dead_link_is_found(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/other.md").write_text("# One & two\n\n## Three\n")
    (tmp_path / "README.md").write_text(
        "# Top\n[a](docs/other.md#one--two) [b](#top) [c](https://x.org)\n"
        "![d](no.png) [e](docs/other.md#four) [f](#up)\n"
        "[g]\n\n[g]: docs/none.md\n\n```text\n[h](not/a/link.md)\n```\n"
    )
    assert check_links.dead_links(tmp_path) == [
        "README.md: no.png",
        "README.md: docs/other.md#four",
        "README.md: #up",
        "README.md: docs/none.md",
    ]


def _site(folder: Path) -> Path:
    """Return the site that `make docs` has built since its sources changed; build it in a folder if there is none."""
    sources = [*ROOT.glob("*.md"), *DOCS.rglob("*"), *(ROOT / "src").rglob("*")]
    changed = max(
        path.stat().st_mtime for path in sources if path.is_file() and not {"_build", "__pycache__"} & set(path.parts)
    )
    complete = DOCS / "_build" / ".complete"
    if complete.is_file() and complete.stat().st_mtime > changed:
        return complete.parent
    application = pytest.importorskip("sphinx.application")
    app = application.Sphinx(DOCS, DOCS, folder, folder / "doctrees", "html", warningiserror=True, status=None)
    app.build()
    assert app.statuscode == 0
    return folder


def test_the_site_builds_without_a_warning_or_anything_from_the_network(tmp_path: Path):
    pages = list(_site(tmp_path).rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*src="([^"]+)"|<link[^>]*href="([^"]+)"', page.read_text())
        assert not [url for pair in loaded for url in pair if re.match(r"(https?:)?//", url)], page


PUBLIC_MODULES = sorted({f"ggcam.{home}" for home in ggcam._HOMES.values()} | {"ggcam.report.plots"})


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_examples_in_docstrings_run(name: str, prepared_here: Path):
    if name in ("ggcam.simulation.simulator", "ggcam.data.prepare.pipeline"):  # their examples make the two folders
        (prepared_here / "raw").unlink()
        shutil.rmtree(prepared_here / "DATA")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert result.failed == 0
