"""What is agreed with a client about permessage-deflate (RFC 7692). PURE.

One agreement for all: neither side keeps a context, and we compress with a window of `WINDOW_BITS`; so one compressed
frame serves every socket that has agreed. An offer that does not permit it, because it asks for a smaller window, is
declined (5: the server may), and if it is the only one, that socket gets plain frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from websockets.exceptions import NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.typing import ExtensionParameter

from broadcast_sync.wire.cable import CABLE
from broadcast_sync.wire.deflate import WINDOW_BITS, Deflate
from broadcast_sync.wire.formats import SUBPROTOCOLS, Deflated, Format, Plain


class _Offer(ServerPerMessageDeflateFactory):
    def __init__(self) -> None:
        super().__init__(
            server_no_context_takeover=True, client_no_context_takeover=True, server_max_window_bits=WINDOW_BITS
        )

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        answer, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits != WINDOW_BITS:
            raise NegotiationError("the window is too small for the frames that all share")
        return answer, extension


class Compression:
    """A hub's choice: `level` 1 (fast) to 9 (small), or 0 to agree on no compression with anybody."""

    def __init__(self, level: int) -> None:
        self.extensions: Final = [_Offer()] if level else None
        """What the handshake may agree on, as websockets' ServerProtocol takes it."""
        self.deflate: Final = Deflate(level) if level else None
        plains = {*SUBPROTOCOLS.values(), CABLE}
        self._formats: dict[Plain, Deflated] = (
            {plain: Deflated(plain, self.deflate) for plain in plains} if self.deflate else {}
        )

    def format(self, plain: Plain, agreed: bool) -> Format:
        """The format of a socket whose messages are `plain`; `agreed` if the handshake has agreed on compression."""
        return self._formats[plain] if agreed else plain
