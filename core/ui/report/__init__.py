"""The Report page: a segmented scan comes in; its report and files go out."""
