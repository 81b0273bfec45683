"""Every byte that pantoum keeps on disk is described in this folder and nowhere else.

``durable`` writes; ``bounded`` reads; the other files each hold one format. ``docs/formats.md`` is the
same in prose, byte for byte.
"""
