"""`python -m videoclf` is the command `videoclf`."""

import sys

from videoclf.cli import main

if __name__ == "__main__":
    sys.exit(main())
