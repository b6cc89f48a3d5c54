"""The napari plugin: the only code that knows napari and Qt."""
