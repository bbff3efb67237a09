"""Microsoft Graph v1.0 over the directory: paths, permissions, OData. One module per noun."""
