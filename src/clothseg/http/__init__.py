"""HTTP: requests with retries, and files that are fetched whole, resumed and verified.

`download_file` fetches one file. A program with many requests opens one `HttpClient` and calls `fetch_file`.
Read `client` first: retry policy, status codes, byte ranges. Then `download`: resuming and verifying one file.
`headers` reads single headers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
