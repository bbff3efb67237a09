"""The product at work, from manifests to a token that the FHIR server would accept.

Here: what a person sees of `make demo`, and the two outsiders it plays: the tenant's administrator
and the clients. Not here: the environment it happens in (`dev.sandbox`).
"""
