"""Slices and masks come in; small pictures, outlines and triangle meshes go out."""
