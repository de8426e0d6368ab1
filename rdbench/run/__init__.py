"""Planning, running and storing cells."""
