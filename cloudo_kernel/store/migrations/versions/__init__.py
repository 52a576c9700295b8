"""The revisions, in order. Each changes the tables of stores that an earlier version of Cloudo created."""
