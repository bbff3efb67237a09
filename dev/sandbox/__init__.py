"""The whole product on this machine: control plane, emulated Entra, the operator as a process.

Here: one environment for the sandbox, the demo and the end-to-end tests. Not here: the control
plane itself (`dev.cluster`), what the demo does with an environment (`dev.demo`).

`environment.py` is the way in; `python -m dev.sandbox` runs one by hand.
"""
