"""The Follow-up page: a second scan of the patient comes in; what changed goes on the page."""
