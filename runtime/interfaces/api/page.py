"""The page of the web radar, and the headers that keep it and everything else in bounds.

The page is one file without any address of another server. Its script and its style are allowed by their hashes
(Content Security Policy, level 3), so that nothing that a model or a network says can ever run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources

_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


@cache
def page_html() -> bytes:
    """The page."""
    return resources.files(__package__).joinpath("static/index.html").read_bytes()


@cache
def security_headers() -> dict[str, str]:
    """Headers of every response."""
    hashes = {"script": "", "style": ""}
    for kind, text in _INLINE.findall(page_html()):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        hashes[kind.decode()] += f" 'sha256-{digest}'"
    policy = (
        "default-src 'none'",
        f"script-src{hashes['script']}",
        f"style-src{hashes['style']}",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
