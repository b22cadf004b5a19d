"""`python -m zerocross`, the same as the command `zerocross`."""

from zerocross.hw_search.cli import main

main()
