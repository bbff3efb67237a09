"""The emulator's own API under `/_emulator`: weather, clock, policies, log, objects.

For tests and demonstrations; it has no counterpart in the cloud and is off unless asked for.
"""
