"""Pages for people: the dashboard, executed notebooks, and the API explorer."""
