"""Microsoft Graph and the sign-in service: wire formats, retries, and errors by consequence.

One module per Graph noun. Nothing here decides what should be; that is `planning`.
"""
