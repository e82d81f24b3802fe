"""Results made visible: overlays, metrics, and one page a run."""
