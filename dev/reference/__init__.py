"""The API reference, `docs/api.md`, made from the CustomResourceDefinitions and `api.names`.

`page.py` puts it together. Not here: what is true of the API, which is said where it is declared.
"""
