"""One module per command of the `earshot` program."""
