"""`python -m credsync` is the `credsync` command."""

from credsync.cli import main

if __name__ == "__main__":
    main()
