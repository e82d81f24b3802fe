"""Files, processes, seeds and versions: nothing that knows about images or gaze."""
