"""Alembic's migrations, shipped in the package and run by `chat-server serve` and `chat-server migrate`."""
