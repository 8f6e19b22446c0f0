"""Where you may speak: rooms, who is in them, and with which role."""
