"""The web: models as pages that write without a network (``export --to html``), and the library behind them.

The JavaScript beside this file is that library, an npm package without dependencies and without a build:
``index.js`` for Node and browsers, ``worker.js`` and ``remote.js`` for a page that must not wait. ``module``
gives the core as WebAssembly, ``html_page`` makes the page.
"""
