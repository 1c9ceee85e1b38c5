"""`python -m conformance.cli`: the command `meshmark` for those who know a Python, and not where its scripts are."""

from conformance.cli.main import main

main()
