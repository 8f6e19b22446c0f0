"""The growth curves: what a delivery and a post cost against one thing that grows, all else as in the table."""

import json
from dataclasses import replace

import posts
from figures import BURST, Figure, Record, followed_beside, load, published, recorded, running
from house import CHANNEL, NAMESPACES, with_rooms
from systems import OURS, OURS_BROKERED, OURS_TWO, Bench, System, ours

SUBSCRIBERS = (10, 100, 1000, 5000, 15_000)
CHANNELS = (1, 1000, 10_000, 100_000)
ROOMS = (3, 10, 100, 500)  # of the first: their number in the prepared data
LISTENERS = (1, 10, 100)
KEPT = (0, 100, 1000, 10_000)
MESSAGES = (0, 10_000, 100_000)
FILL_S = 8.0
MOST_FILLS = 12


def by_subscribers(bench: Bench, seconds: float, record: Record) -> None:
    for size in SUBSCRIBERS:
        published(bench, record, OURS, size, "-T", str(seconds), *OURS.publish)


def by_channels(bench: Bench, seconds: float, record: Record) -> None:
    for channels in CHANNELS:
        followed_beside(bench, seconds, record, channels)


def by_history(bench: Bench, seconds: float, record: Record) -> None:
    """The channel's history is as long as it may be before the measured publications come."""
    namespace = CHANNEL.partition(":")[0]
    for size in KEPT:
        rules = {**NAMESPACES, namespace: {"history_size": size}}
        system = System(OURS.name, ours(CHAT_NAMESPACES=json.dumps(rules)), OURS.load, OURS.publish, OURS.burst)
        with recorded(record, OURS.name, f"{size:,}"), running(system, bench) as server:
            if size:
                load(bench, system, server, 1, "-M", str(size), "-T", "20", *system.burst, *BURST)
            options = ("-T", str(seconds), *system.publish)
            record(OURS.name, f"{size:,}", **load(bench, system, server, 1000, *options))


def by_workers(bench: Bench, seconds: float, record: Record) -> None:
    for case, system in WORKERS.items():
        with recorded(record, OURS.name, case), running(system, bench) as server:
            record(OURS.name, case, **load(bench, system, server, 1000, "-T", str(seconds), *system.publish))


def posts_by_listeners(bench: Bench, seconds: float, record: Record) -> None:
    for listeners in LISTENERS:
        with recorded(record, OURS.name, f"{listeners:,}"), running(OURS, bench) as server:
            record(OURS.name, f"{listeners:,}", **posts.run(bench, server, seconds * 2, listeners=listeners))


def posts_by_rooms(bench: Bench, seconds: float, record: Record) -> None:
    """All who post in one room, and all who hear it there, are members of so many; the listeners follow them all."""
    for rooms in ROOMS:
        with recorded(record, OURS.name, f"{rooms:,}"):
            roomy = replace(bench, prepared=with_rooms(bench.prepared, bench.work, rooms - ROOMS[0]))
            with running(OURS, roomy) as server:
                options = {"rooms": roomy.prepared.rooms[:1], "follow_all": True}
                record(OURS.name, f"{rooms:,}", **posts.run(roomy, server, seconds * 2, **options))


def posts_by_messages(bench: Bench, seconds: float, record: Record) -> None:
    """Of all 16 rooms together."""
    with recorded(record, OURS.name, "all"), running(OURS, bench) as server:
        stored = 0.0
        for wanted in MESSAGES:
            for _ in range(MOST_FILLS):
                if stored < wanted:
                    stored += posts.run(bench, server, FILL_S, listeners=0)["posts"]
            found = posts.run(bench, server, seconds * 2)
            stored += found["posts"]
            record(OURS.name, f"{wanted:,}", stored=stored, **found)


def posts_by_workers(bench: Bench, seconds: float, record: Record) -> None:
    for case, system in WORKERS.items():
        with recorded(record, OURS.name, case), running(system, bench) as server:
            record(OURS.name, case, **posts.run(bench, server, seconds * 2))


WORKERS = {"1": OURS, "1, Valkey": OURS_BROKERED, "2, Valkey": OURS_TWO}
CURVES: dict[str, Figure] = {
    "by_subscribers": by_subscribers,
    "by_channels": by_channels,
    "by_history": by_history,
    "by_workers": by_workers,
    "posts_by_listeners": posts_by_listeners,
    "posts_by_rooms": posts_by_rooms,
    "posts_by_messages": posts_by_messages,
    "posts_by_workers": posts_by_workers,
}
