"""Response headers that make browsers and caches careful: those of OWASP's REST cheat sheet."""

from starlette.types import Message, Send

SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


def send_securely(send: Send) -> Send:
    """Add the headers to the response, unless it has its own. HSTS is left to the proxy."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            own = dict(headers)
            added = [header for header in SECURITY_HEADERS if header[0] not in own]
            message = {**message, "headers": [*headers, *added]}
        await send(message)

    return send_with_headers
