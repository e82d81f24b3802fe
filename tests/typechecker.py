"""The run-time type checker of the tests: beartype, which lets an int stand for a float as every Python reader does."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
