"""Developers' tools: stages of a segmentation, the viewer in a browser and lungmask, timed."""
