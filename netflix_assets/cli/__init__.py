"""The command ``netflix-assets``."""

from netflix_assets.cli.app import main as main
