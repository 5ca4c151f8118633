"""A scan, its masks and measurements come in; files that other programs open go out."""
