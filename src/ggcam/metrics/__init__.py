"""Pure functions from arrays to numbers: how good the classes are, where the CAM points, how sure both are."""
