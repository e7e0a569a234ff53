"""The dashboards on localhost, for who cannot open a file. Does not belong here: how pages are made."""

import contextlib
import webbrowser
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    """The files of a folder; a page that was built anew is seen by the next reload."""

    def end_headers(self) -> None:
        """Have nothing kept by the browser without asking."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a line for each request helps nobody."""


def serve(folder: Path, port: int, announce: Callable[[str], None], *, open_browser: bool) -> None:
    """Serve the folder on this machine until Ctrl-C. Raises: OSError when the port is taken."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise OSError(
            f"port {port}: {error.strerror}; choose another: netflix-assets dashboards --port 3101"
        ) from error
    with server:
        address = f"http://127.0.0.1:{server.server_port}/"
        announce(f"dashboards  {address}   (Ctrl-C stops)")
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
