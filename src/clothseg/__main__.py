"""`python -m clothseg` is the command line, for `torchrun` and wherever the script is not on the path."""

from clothseg.cli import main

if __name__ == "__main__":
    main()
