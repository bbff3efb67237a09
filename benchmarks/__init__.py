"""What `make bench` runs: the whole product under fleets of registrations, and what it took.

`scenario.py` is what happens; `report.py` is what people read. Never a test: nothing here decides
whether a change is good, and no figure fails a build.
"""
