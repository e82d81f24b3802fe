"""Studies: several arms trained on the same cases and seeds, and statistical tests of their differences."""
