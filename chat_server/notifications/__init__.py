"""Who should be told although absent: the inbox, topics, and what raises a notification."""
