"""The Quality page: a scan or all cases come in; findings and lists for training go out."""
