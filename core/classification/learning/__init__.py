"""From pictures of known class to trained networks: packing, augmentation, fitting, results."""
