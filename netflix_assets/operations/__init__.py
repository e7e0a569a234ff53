"""What the commands do: they return values or raise errors, print nothing and know no command line."""
