"""``python -m pantoum`` is the command ``pantoum``."""

from pantoum.cli.main import entry

if __name__ == "__main__":
    entry()
