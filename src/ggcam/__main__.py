"""`python -m ggcam`."""

from ggcam.cli import main

main()
