"""The broker on Redis or Valkey: one node, Sentinel, or Cluster. Nothing outside this package knows the library."""
