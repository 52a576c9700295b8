"""The workspace on disk: its layout, files, users and flows."""
