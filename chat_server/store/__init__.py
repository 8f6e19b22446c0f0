"""What was acknowledged: tables, the event log, the writer with its group commit, the readers, the jobs."""
