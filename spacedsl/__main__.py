"""`python -m spacedsl`."""

from spacedsl.cli.app import main

main()
