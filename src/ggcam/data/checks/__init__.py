"""Is anything wrong with a prepared data set? What its tables, its pixels and its gaze say, as findings."""
