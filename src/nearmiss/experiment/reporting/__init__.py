"""A result as sentences, tables, figures and a page: one file each, put together by ``experiment.report``."""
