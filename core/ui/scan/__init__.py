"""The open scan on any page: a study comes in; picture, measurements and 3D view go on the page."""
