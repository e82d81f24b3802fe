"""The local web service: predictions over HTTP and a page for people."""
