"""The report as one HTML page that asks nothing of the network: drawings, templates, script."""

from charrnn.display.report.page import render

__all__ = ["render"]
