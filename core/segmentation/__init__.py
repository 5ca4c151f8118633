"""A scan comes in; masks of lung and infection on the scan's own grid go out."""
