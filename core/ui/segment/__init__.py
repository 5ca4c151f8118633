"""The Segment page: weights and thresholds come in; masks, measurements and files go out."""
