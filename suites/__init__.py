"""The suites that come with the program: one file each; in the wheel they are the package `bench.suites`."""
