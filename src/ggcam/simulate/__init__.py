"""Chest X-ray phantoms with known truth and simulated gaze, written in the raw layout of EGD-CXR or REFLACX.

:class:`~ggcam.simulate.config.SimulationConfig` says what to draw,
:func:`ggcam.simulate.simulator.simulate` draws and writes it.
"""

from ggcam.simulate.config import SimulationConfig

__all__ = ["SimulationConfig"]
