"""The views of `inspect`: numbers only, one file a view. Drawing is display's."""
