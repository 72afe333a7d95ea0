"""The report: one page of pictures of who ran where and when, made from the event stream.

Pure, all of it: events go in (`history`), figures (`figures`) and pictures (`timeline`, `charts`)
are made of them, a page comes out (`page`). The opposite is `verbs.report`, which asks and writes.
"""
