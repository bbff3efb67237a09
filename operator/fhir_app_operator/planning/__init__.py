"""Pure decisions: no I/O, no clock, no randomness, no framework (import-linter enforces it).

`desired` says what should be, `model` what was observed and what can be done, `plan` what is to be
done and why, `credentials` when to issue and revoke, `conditions` how the outcome is reported.
"""
