"""The Enhance and Region pages: settings come in; pictures, boxes and settings files go out."""
