"""What a request for the event stream asks for. PURE."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qs

from broadcast_sync.errors import Refusal
from broadcast_sync.hub.channels import RESULTS, SHOW, is_public
from broadcast_sync.wire.client import Position
from broadcast_sync.wire.events import parse_event_id

METHODS: Final = frozenset({"GET", "HEAD"})
QUERY_FIELDS: Final = 16


class StreamRequest(NamedTuple):
    """What the door has read of a request. Names of headers are in lower case."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]

    def header(self, name: bytes) -> str | None:
        """The last header of that name."""
        found = [value for key, value in self.headers if key == name]
        return found[-1].decode("latin-1").strip() if found else None


class Wanted(NamedTuple):
    """A request, understood: the channels to follow, and where the client was in `show`."""

    channels: list[str]
    since: Position | None


def wanted(request: StreamRequest, most: int) -> Wanted:
    """Raises Refusal for channels that are not there or more than `most`. A last event id that never was one
    of ours is none: the stream begins with a snapshot, and says so."""
    query = request.target.partition(b"?")[2].decode("latin-1")
    try:
        fields = parse_qs(query, max_num_fields=QUERY_FIELDS)
    except ValueError:
        raise Refusal("BAD_MESSAGE", f"A query may have {QUERY_FIELDS} fields.") from None
    names = [name for text in fields.get("channels", []) for name in text.split(",")] or [SHOW, RESULTS]
    unknown = next((name for name in names if not is_public(name)), None)
    if unknown is not None:
        raise Refusal("UNSUPPORTED", f"There is no channel {unknown[:80]!r} here.")
    channels = list(dict.fromkeys(names))
    if len(channels) > most:
        raise Refusal("UNSUPPORTED", f"A stream may have {most} channels.")
    # a page that makes a new EventSource cannot set the header: it may say it in the query
    last = request.header(b"last-event-id") or fields.get("lastEventId", [""])[-1]
    return Wanted(channels, parse_event_id(last))


def accepts_events(accept: str | None) -> bool:
    """Whether an Accept header leaves room for `text/event-stream`."""
    if accept is None:
        return True
    for item in accept.lower().split(","):
        kind, _, parameters = item.partition(";")
        refused = parameters.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
        if kind.strip() in {"*/*", "text/*", "text/event-stream"} and not refused:
            return True
    return False
