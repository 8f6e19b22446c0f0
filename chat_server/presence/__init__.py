"""Who is here, and who is typing: over all tabs, devices and workers."""
