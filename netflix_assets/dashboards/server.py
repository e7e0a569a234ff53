"""Serve the dashboards on localhost."""

import contextlib
import webbrowser
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder; a reload shows a rebuilt page."""

    def end_headers(self) -> None:
        """Make browsers revalidate what they cache."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: one line per request is noise."""


def serve(folder: Path, port: int, announce: Callable[[str], None], *, open_browser: bool) -> None:
    """Serve the folder on localhost until Ctrl-C. Raises OSError when the port is in use."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise OSError(
            f"port {port}: {error.strerror}; choose another: netflix-assets dashboards --port 3101"
        ) from error
    with server:
        address = f"http://127.0.0.1:{server.server_port}/"
        announce(f"dashboards  {address}   (Ctrl-C to stop)")
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
