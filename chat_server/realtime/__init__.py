"""Who is connected to this worker, and what they must hear: encoded once, in order, without gap or repeat."""
