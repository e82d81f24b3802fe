"""Chest X-ray phantoms with known truth and simulated gaze, written in the raw layout of EGD-CXR or REFLACX.

:class:`~ggcam.simulation.config.SimulationConfig` says what to draw,
:func:`ggcam.simulation.simulator.simulate` draws and writes it.
"""

from ggcam.simulation.config import SimulationConfig

__all__ = ["SimulationConfig"]
