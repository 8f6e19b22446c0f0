"""What an operator can watch, in Prometheus' words. Never labelled by room, channel or user."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

CONNECTIONS = Gauge(
    "chat_connections", "Open connections", ["transport"], registry=REGISTRY, multiprocess_mode="livesum"
)
CHANNELS = Gauge("chat_channels", "Channels with a subscriber", registry=REGISTRY, multiprocess_mode="livesum")
COMMANDS = Counter("chat_commands", "Commands carried out", ["outcome"], registry=REGISTRY)
MESSAGES = Counter("chat_messages", "Messages posted and committed", registry=REGISTRY)
PUBLICATIONS = Counter("chat_publications", "Publications fanned out on this worker", registry=REGISTRY)
DELIVERIES = Counter("chat_deliveries", "Frames handed to connections", registry=REGISTRY)
DROPPED = Counter("chat_dropped", "Frames left out by a namespace's slow policy", registry=REGISTRY)
SLOW_CONSUMERS = Counter("chat_slow_consumers", "Connections closed because they read too slowly", registry=REGISTRY)
REPAIRS = Counter("chat_repairs", "Holes and reorders filled from the event log", registry=REGISTRY)
RECOVERIES = Counter("chat_recoveries", "Recoveries asked for", ["outcome", "source"], registry=REGISTRY)
CLOSES = Counter("chat_closes", "Connections closed by the server", ["code"], registry=REGISTRY)
BATCHES = Histogram(
    "chat_batch_commands", "Commands in one commit", buckets=(1, 2, 4, 8, 16, 32, 64), registry=REGISTRY
)
COMMITS = Histogram(
    "chat_commit_seconds",
    "From the first command of a batch to its commit",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
    registry=REGISTRY,
)
QUERIES = Histogram(
    "chat_query_seconds",
    "Queries on the read connections",
    buckets=(0.0002, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2),
    registry=REGISTRY,
)
JOBS = Counter("chat_jobs", "Jobs run", ["kind", "outcome"], registry=REGISTRY)
REQUESTS = Counter("chat_http_requests", "HTTP requests answered", ["method", "status"], registry=REGISTRY)
BROKER_UP = Gauge(
    "chat_broker_up", "1 while every worker hears the broker", registry=REGISTRY, multiprocess_mode="livemin"
)
BROKER_LOSSES = Counter("chat_broker_losses", "Connections to the broker lost or fallen silent", registry=REGISTRY)
LOOP_LAG = Gauge("chat_loop_lag_seconds", "How late the event loop was", registry=REGISTRY, multiprocess_mode="livemax")


def own_figures() -> dict[str, float]:
    """This process's, by their names in /metrics: added up over their labels, and `name,label=value` each."""
    found: dict[str, float] = {}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
            if sample.labels:
                labels = ",".join(f"{label}={value}" for label, value in sample.labels.items())
                found[f"{sample.name},{labels}"] = sample.value
    return found
