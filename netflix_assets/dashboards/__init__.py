"""The dashboards: six self-contained HTML pages, each a Dagster asset built from published marts (docs/dashboards.md).

``queries.py`` reads the marts into frames, ``pages/`` turns frames into sentences, charts and tables, ``page.py``
renders them as one HTML file, and ``server.py`` serves the folder.
"""
