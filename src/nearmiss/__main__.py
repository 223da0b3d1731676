"""``python -m nearmiss``."""

from nearmiss.cli import main

if __name__ == "__main__":
    main()
