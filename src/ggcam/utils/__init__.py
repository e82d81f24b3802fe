"""Files, processes, seeds and versions: helpers that know nothing about images or gaze."""
