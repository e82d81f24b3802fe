"""Take two steps with each guidance method, as one of two processes: `python train_in_two_processes.py FOLDER RANK`."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ggcam.data.batches import Batch
from ggcam.guidance import GUIDANCES, create_guidance
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining
from guidance.examples import FRAME, batch, network_for

WAIT = timedelta(minutes=2)
"""How long a process waits for the other, which may have failed."""


class Step(nn.Module):
    """A training step as a forward pass, as Lightning's strategy wraps it."""

    def __init__(self, training: GuidedTraining):
        super().__init__()
        self.training_module = training

    def forward(self, data: Batch) -> Tensor:
        return self.training_module.compute_losses(data).total


def train_all(rank: int, folder: str) -> None:
    """Train as one of the processes; write the parameters of each method."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2, timeout=WAIT)
    found = {}
    for name in GUIDANCES:
        torch.manual_seed(0)
        guidance = create_guidance(name)
        training = GuidedTraining(network_for(guidance), guidance, TrainConfig(guidance=name, sigma_px=6.0), FRAME)
        step = DistributedDataParallel(Step(training.train()))
        optimizer = torch.optim.SGD(training.parameters(), lr=1e-3)
        for number, progress in enumerate((0.0, 0.9)):
            guidance.progress = progress
            torch.manual_seed(rank)  # one process may draw what the other does not
            data = batch(seed=2 * number + rank)
            if rank == 1 and number == 0:
                data = data._replace(duration_s=torch.zeros_like(data.duration_s))
            optimizer.zero_grad()
            step(data).backward()
            nn.utils.clip_grad_norm_(training.parameters(), 1.0)
            optimizer.step()
        found[name] = {key: value.detach().clone() for key, value in training.named_parameters()}
    torch.save(found, Path(folder) / f"rank{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    train_all(int(sys.argv[2]), sys.argv[1])
