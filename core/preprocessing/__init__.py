"""A scan comes in; the region of interest, enhanced slices and the input of the network go out."""
