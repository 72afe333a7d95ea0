"""`python -m fallow.tray`, the same as the script `tray`."""

from fallow.tray.cli import main

if __name__ == "__main__":
    main()
