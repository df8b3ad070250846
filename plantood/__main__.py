"""``python -m plantood`` is the ``plantood`` command."""

from plantood.cli import main

if __name__ == "__main__":
    main()
