"""One suite over both ends of `Api`: in process, and over HTTP to a real server."""
