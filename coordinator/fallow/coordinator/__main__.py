"""`python -m fallow.coordinator`, the same as the script `coordinator`."""

from fallow.coordinator.cli import main

if __name__ == "__main__":
    main()
