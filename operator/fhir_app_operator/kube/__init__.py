"""Gateway to the Kubernetes API server: reads and guarded writes of the objects we deal with.

Every write is create-only or carries a resourceVersion. Watches are Kopf's (`controller.handlers`).
"""
