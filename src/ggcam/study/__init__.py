"""Evidence: arms trained side by side on the same cases, and whether they differ by more than chance."""
