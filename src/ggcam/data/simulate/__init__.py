"""Chest X-ray phantoms with known truth and simulated gaze, written in the raw layout of EGD-CXR or REFLACX.

:class:`~ggcam.data.simulate.config.SimulationConfig` says what to draw,
:func:`ggcam.data.simulate.simulator.simulate` draws and writes it.
"""

from ggcam.data.simulate.config import SimulationConfig

__all__ = ["SimulationConfig"]
