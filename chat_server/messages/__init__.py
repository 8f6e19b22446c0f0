"""What was said: posts, edits, deletions, and how far each member has read."""
