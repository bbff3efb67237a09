"""Programs for people and tests that work on this project; nothing here ships."""
