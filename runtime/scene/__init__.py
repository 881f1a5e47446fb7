"""What is around the listener: source estimates and their description in JSON and words."""
