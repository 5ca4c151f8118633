"""A scan and its masks come in; biomarkers, quality findings and changes over time go out."""
