"""The sockets: the realtime protocol as a session without a socket, and what carries it."""
