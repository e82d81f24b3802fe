"""Simulated chest X-rays with known findings and simulated gaze, in the raw layout of EGD-CXR or REFLACX.

:func:`ggcam.simulation.simulator.simulate` writes what a :class:`~ggcam.simulation.config.SimulationConfig` describes.
"""

from ggcam.simulation.config import SimulationConfig

__all__ = ["SimulationConfig"]
