"""After the last epoch: calibrate the best network, describe its training images, and write its weights."""

from __future__ import annotations

import logging
import time

import numpy as np

from ggcam.data.data_module import PreparedDataModule
from ggcam.data.view_position import known_view
from ggcam.models.cam import CAMClassifier
from ggcam.training.calibration import save_calibration
from ggcam.training.checkpoints import best_state
from ggcam.training.fit_calibration import calibrate
from ggcam.training.fit_typicality import MIN_CASES, fit_typicality
from ggcam.training.lightning_module import GuidedTraining
from ggcam.training.model_spec import net_weights
from ggcam.training.network_outputs import NetworkOutputs, described_rows, network_outputs
from ggcam.training.run import Run
from ggcam.training.typicality import save_typicality
from ggcam.utils.atomic import atomic_write
from ggcam.utils.safe_pickle import pt_bytes

log = logging.getLogger(__name__)


def save_best(run: Run, module: GuidedTraining, batches: PreparedDataModule) -> None:
    """Complete a run with what depends on its best network. `NET.pt` comes last: it means that training has finished.

    Args:
        run: the run.
        module: the training module, whose network becomes the best one.
        batches: the data of the training.
    """
    folder, config = run.folder, run.config
    module.load_state_dict(best_state(folder.checkpoints)["state_dict"])
    has_validation = bool((batches.data.cases["split"] == "valid").any())
    if not has_validation and (config.calibration or config.typicality):
        log.warning("without validation cases the probabilities are not calibrated, and unusual images are not marked")
    elif config.calibration or config.typicality:
        # One pass over the validation images for both.
        colour = _grey_colour(batches)
        dataset = batches.dataset("valid")
        outputs = network_outputs(module.model, dataset, config.batch_size, None, config.typicality, colour)
        if config.calibration:
            labels = batches.data.labels_of(dataset.cases)
            save_calibration(calibrate(outputs.logits, labels, run.class_names), folder.calibration)
        if config.typicality:
            _describe(run, module.model, batches, outputs, colour)
    module.cpu()
    atomic_write(folder.weights, pt_bytes(net_weights(module.model, module.guidance)))


def _describe(
    run: Run, model: CAMClassifier, batches: PreparedDataModule, valid: NetworkOutputs, colour: float
) -> None:
    """Describe the training images, if there are enough of them."""
    dataset = batches.dataset("train")
    if len(dataset) < MIN_CASES:
        log.warning("images unlike the training's will not be marked: that takes %d training images", MIN_CASES)
        return
    start, rows = time.perf_counter(), described_rows(len(dataset))
    train = network_outputs(model, dataset, run.config.batch_size, rows, True, colour)
    patients = dataset.cases["patient_id"].to_numpy(np.str_)[rows]
    views = [known_view(flags.split(";")) for flags in dataset.cases["flags"].tolist()]
    known = tuple(sorted(set(filter(None, views)))) if all(views) else ()
    save_typicality(*fit_typicality(train, valid, patients, known), run.folder.typicality)
    log.info("described %d training images in %.1f s", len(rows), time.perf_counter() - start)


def _grey_colour(batches: PreparedDataModule) -> float:
    """Return how colourful the raw images were that are grey in the prepared folder: X-rays are not, others may be."""
    return 0.0 if batches.data.kind == "chest" else np.nan
