"""The Train and Augmentation pages: cases and settings come in; runs, charts and weights go out."""
