"""Tools for a laptop or a maintainer; nothing that runs in production imports them."""
