"""The backend of REST and pages: the service behind a thread pool, and the event feed."""
