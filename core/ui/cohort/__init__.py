"""The Cohort page: the result of a batch comes in; its table, scans and charts go on the page."""
