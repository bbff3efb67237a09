"""The loop: what triggers a pass (`handlers`), when (`queue`), what it does (`reconciler`)."""
