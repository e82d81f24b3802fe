"""A run's network as a file for the original."""

from __future__ import annotations

import pytest
import torch

from ggcam.cli import main
from ggcam.data.case import Frame
from ggcam.errors import ConfigError
from ggcam.inference.export import export_original
from ggcam.models import original_weights
from ggcam.run_folder import RunFolder, create_run_folder
from ggcam.training.model_spec import ModelSpec


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    description = ModelSpec("18", ("a", "b"), Frame(64, 64), net="ResCAMNet", reduction="mean")
    settings = {"data": "DATA", "train": {"guidance": "original"}}
    run = create_run_folder(tmp_path_factory.mktemp("runs"), "run", settings, description.to_dict())
    scalars = {name: torch.tensor(float(i)) for i, name in enumerate(original_weights.LOSS_SCALARS)}
    torch.save(original_weights.original_state_dict(description.build(), scalars), run.weights)
    return run


def test_what_is_exported_is_loaded_with_identical_weights(run, tmp_path, capsys):
    out = tmp_path / "OLD.pt"
    main(["export", str(run.root), "--format", "original", "--out", str(out)])
    assert str(out) in capsys.readouterr().out
    state, again = torch.load(run.weights), torch.load(out)
    assert list(again) == list(state)
    assert all(torch.equal(again[name], value) for name, value in state.items())
    assert again["lg_k"] == 2
    model = original_weights.load(out)
    assert all(
        torch.equal(again[name], value)
        for name, value in original_weights.original_state_dict(model).items()
        if name[:3] != "lg_"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["OLD.pt"]


def test_a_network_that_the_original_does_not_have_is_refused(trained, tmp_path):
    with pytest.raises(ConfigError, match=r"no network to load this run's test_resnet(?s:.*)original-resnet-50"):
        export_original(trained, tmp_path / "OLD.pt")
    assert not list(tmp_path.iterdir())


def test_an_unknown_format_lists_the_known(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(run.root), "--format", "relesed"])
    assert stopped.value.code == 2
    assert "original" in capsys.readouterr().err
