"""How the views of `inspect` look on a terminal: Rich renderables, one file a view."""
