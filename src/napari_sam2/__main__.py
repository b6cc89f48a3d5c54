"""``python -m napari_sam2`` is the command line."""

import sys

from napari_sam2.cli import main

if __name__ == "__main__":
    sys.exit(main())
