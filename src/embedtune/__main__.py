"""`python -m embedtune` is the command line."""

from embedtune.cli.main import main

main()
