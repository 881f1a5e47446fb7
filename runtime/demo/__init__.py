"""A small scene that needs no recordings: procedural sounds around a spherical head, for `earshot demo`."""
