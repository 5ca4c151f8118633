"""Draws the demo study ahead, so that the app opens it at once: `python -m core.phantom`."""

from core.phantom import kept_demo_study

if __name__ == "__main__":
    kept_demo_study()
