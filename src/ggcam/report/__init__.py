"""Results made visible: overlays, figures, and one page a run."""
