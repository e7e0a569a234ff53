"""The dashboards: six self-contained pages, each an asset made from published marts (docs/dashboards.md).

The pure part (``page.py``, ``look.py``, the pages) turns frames into charts and charts into a page; ``assets.py`` makes
Dagster assets of it, ``server.py`` serves the folder.
"""
