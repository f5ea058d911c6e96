"""What must not go wrong, made to go wrong: bad files, failing system calls, ends at every point."""
