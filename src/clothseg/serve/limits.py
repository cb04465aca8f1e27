"""How much the server accepts, and the error for a request that it refuses."""

from collections.abc import Mapping
from dataclasses import dataclass

from clothseg.errors import ClothsegError

MEGABYTE = 1 << 20
MEGAPIXEL = 1_000_000


@dataclass(frozen=True)
class Limits:
    """How much the server accepts. Together they bound its memory.

    Attributes:
        photo_bytes: of one photo as a file.
        photo_pixels: of one photo when it is decoded.
        queue: requests that may wait while one is in work; more get the status 429.
        queue_bytes: of all requests in the queue together.
        body_seconds: a request must have arrived after this time.
        cache_bytes: of detections that are kept, so that a cut-out does not need the network again.
    """

    photo_bytes: int = 25 * MEGABYTE
    photo_pixels: int = 50 * MEGAPIXEL
    queue: int = 32
    queue_bytes: int = 256 * MEGABYTE
    body_seconds: float = 60.0
    cache_bytes: int = 64 * MEGABYTE


class RequestError(ClothsegError):
    """A request that is refused.

    Attributes:
        status: of HTTP.
        headers: of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
