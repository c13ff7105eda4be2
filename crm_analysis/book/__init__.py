"""The report book: pages assembled from executed notebooks and their findings, then built into static HTML.

`state.unchanged` says without loading anything heavy whether the built book is still true; `build.build` makes it.
"""
