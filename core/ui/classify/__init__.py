"""The Classify page: a scan or picture comes in; a probability with its limits goes on the page."""
