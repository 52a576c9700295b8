"""What REST and pages ask: the service behind a pool of threads, and the event feed."""
