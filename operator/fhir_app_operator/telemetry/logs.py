"""Structured logs with redaction, for our own loggers and for those of the libraries.

The rule is that no secret gets here; the redaction is the second net under it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from pydantic import SecretStr

REDACTED: Final = "[redacted]"
_NAMES: Final = re.compile(
    r"authorization|secret_?text|client_?secret|access_?token|id_?token|refresh_?token"
    r"|assertion|password",
    re.IGNORECASE,
)
_VALUES: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*|Bearer \S+")
_QUIET: Final = {
    # kopf.objects logs a line per event at INFO and whole bodies at DEBUG; httpx logs full URLs.
    "kopf": logging.INFO, "kopf.objects": logging.WARNING, "httpx": logging.WARNING,
    "httpcore": logging.WARNING, "msal": logging.WARNING, "aiohttp": logging.WARNING,
    "aiohttp.access": logging.WARNING, "kubernetes": logging.WARNING, "asyncio": logging.WARNING,
    "urllib3": logging.WARNING,
}  # fmt: skip


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what looks like a secret, by name or by form, wherever it is in `event`."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if isinstance(value, SecretStr) or (_NAMES.search(key) and value):
        return REDACTED
    if isinstance(value, str):
        return _VALUES.sub(REDACTED, value)
    if isinstance(value, dict):
        return {k: _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", item) for item in value]
    return value


def configure(level: str, form: str) -> None:
    """Send all logs to standard error as `form` (`json` or `console`), from `level` up."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    last: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=last,
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
