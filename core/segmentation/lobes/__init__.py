"""The lungs' mask comes in; which lobe each of its voxels belongs to goes out, told by shape."""
