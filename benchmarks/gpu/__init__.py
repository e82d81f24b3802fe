"""`make gpu`: tests and benchmarks that need a GPU, in parts that cannot stop one another, within eight minutes."""
