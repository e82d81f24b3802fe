"""Shape annotations are checked while the tests run, and only then; shared data are found or their tests skip."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

from typechecker import install_type_checks

# Test processes run side by side: threads of their own would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure; pytest's own timeout catches what hangs.
# What CI tries is the same each time; elsewhere new examples go on being looked for.
settings.register_profile("ggcam", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("ggcam")

install_type_checks("ggcam")

SHARED = Path(__file__).parents[2] / "shared"


def _shared(folder: str) -> Path:
    path = SHARED / folder
    if not path.is_dir():
        pytest.skip(f"../shared/{folder} is absent: it is handed out beside the project, not with it")
    return path


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's cache out of the tests, and the tests out of the cache."""
    os.environ["GGCAM_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", autouse=True)
def _constants_stay() -> Iterator[None]:
    """Fail the file of tests that leaves a constant of the package changed for those that run after it."""
    before = {module: _constants(module) for module in _ggcam_modules()}
    yield
    for module, constants in before.items():
        now = _constants(module)
        changed = [name for name, value in constants.items() if now.get(name) is not value]
        assert not changed, f"{module.__name__} keeps another value of {', '.join(changed)} after these tests"


def _ggcam_modules() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.startswith("ggcam.")]


def _constants(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name.isupper()}


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the values recorded from the original GG-CAM."""
    return _shared("golden")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real X-rays and real gaze."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Folder of inputs that an earlier version handled wrongly."""
    return _shared("cases")


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated data set in EGD-CXR's raw layout; every tenth case has no gaze."""
    from ggcam.simulation.config import SimulationConfig
    from ggcam.simulation.simulator import simulate

    root = tmp_path_factory.mktemp("simulated") / "raw"
    simulate(root, SimulationConfig(cases=60, size="96x80", no_gaze_prob=0.1, seed=3, workers=1))
    return root


@pytest.fixture(scope="session")
def prepared(simulated: Path) -> Path:
    """The simulated data, prepared in a frame of 64x64."""
    from ggcam.data.prepare.config import PrepareConfig
    from ggcam.data.prepare.pipeline import prepare_source
    from ggcam.data.sources import egd_cxr

    root = simulated.with_name("prepared")
    config = PrepareConfig(size="64x64", split_file=simulated / "split.csv", workers=1)
    prepare_source(egd_cxr.read(simulated), root, config)
    return root


@pytest.fixture(scope="session")
def trained(prepared: Path) -> Path:
    """A run folder, trained for two epochs and evaluated; a copy of it still finds the data."""
    from ggcam.data.prepared import load_prepared
    from ggcam.evaluation.evaluate import evaluate
    from ggcam.training.config import TrainConfig
    from ggcam.training.train import train

    config = TrainConfig(backbone="test_resnet", output_stride=8, epochs=2, batch_size=8, seed=1, keep_paths=True)
    run = train(load_prepared(prepared), config, prepared.with_name("runs"), "trained")
    return evaluate(run).save().root
