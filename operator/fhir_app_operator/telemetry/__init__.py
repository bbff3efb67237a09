"""What the operator says about itself: logs with redaction, metrics, health. No decisions."""
