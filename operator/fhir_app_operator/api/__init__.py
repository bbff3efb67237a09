"""The Kubernetes API of the operator: one package per version. No behaviour lives here."""
