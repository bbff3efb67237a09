"""The directory: objects, their rules, and what a read sees of them. No HTTP in here."""
