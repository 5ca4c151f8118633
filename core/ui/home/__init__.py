"""The Home page: files, folders and cases come in; an open scan goes out."""
