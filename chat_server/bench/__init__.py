"""`chat-server bench`: what a running server does under a load of one channel, as its clients see it.

The parent publishes; processes of their own hold the subscribers, so that what is measured is the server. Nothing here
imports the server. All stamps are of the machine's monotonic clock, which its processes share.
"""

from dataclasses import dataclass

LOGIN_AGAIN = "the server refuses the token: `chat-server token NAME` prints a good one"


class CannotBench(ConnectionError):
    """What stands in the way, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do. `rate`: publications a second, 0 for the next one as soon as the last is acknowledged."""

    url: str
    token: str
    api_key: str
    channel: str
    subscribers: int
    rate: float
    seconds: float
    size_bytes: int
    processes: int
    run: str  # marks this run's publications, so that others of the channel are not counted

    def shares(self) -> list[int]:
        """How many of the subscribers each process holds."""
        least, more = divmod(self.subscribers, self.processes)
        return [least + (index < more) for index in range(self.processes)]

    def stamp_name(self) -> str:
        return f"bench_{self.run}"
