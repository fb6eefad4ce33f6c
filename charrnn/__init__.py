"""Character, byte and word language models with recurrent networks."""

__version__ = "0.1.0"
