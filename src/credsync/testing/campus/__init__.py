"""A sample campus: the rows of an Open edX database and a program catalog, made up, and as messy as real ones.

`Campus` says what the rows are; `write_sample` puts them into a SQLite file. Needs nothing but the standard library.
"""

from credsync.testing.campus.learning import Campus
from credsync.testing.campus.writing import SampleSummary, catalog_path, write_sample

__all__ = ["Campus", "SampleSummary", "catalog_path", "write_sample"]
