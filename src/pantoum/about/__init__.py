"""Questions about what is there: what a file or folder is (``file``), what this machine gives
(``machine``)."""
