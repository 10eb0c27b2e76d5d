#!/usr/bin/env python3
"""Checks that deploy/compose.yaml keeps what docs/operating.md promises: pinned images, no default secrets, little power."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
# A tag of three numbers, or of a release of ours.
PINNED: Final = re.compile(r".+:v?\d+\.\d+\.\d+(-[\w.]+)?(@sha256:[0-9a-f]{64})?")
BASE: Final = re.compile(r"^FROM (\S+)", re.MULTILINE)
DEFAULT: Final = re.compile(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN|KEY)\w*):?-", re.IGNORECASE)
# Starts, makes the topics, and ends: nobody waits for it to be healthy.
ONCE: Final = {"topics"}


def careless_services(services: dict[str, Any]) -> Iterator[str]:
    """Services that may more than they need, or that nobody would miss."""
    for name, service in services.items():
        if not PINNED.fullmatch(service.get("image", "")):
            yield f"{name}: its image has no full version: {service.get('image')}"
        if service.get("read_only") is not True:
            yield f"{name}: its root can be written"
        if str(service.get("user", "0")).split(":")[0] in {"0", "root"}:
            yield f"{name}: it runs as root"
        if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
            yield f"{name}: it has capabilities"
        if "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name}: it may gain privileges"
        if service.get("privileged") or service.get("network_mode") == "host":
            yield f"{name}: it has what is the machine's"
        yield from (f"{name}: no {key}" for key in ("restart", "mem_limit", "cpus", "pids_limit", "logging") if not service.get(key))
        if name not in ONCE and not service.get("healthcheck", {}).get("test"):
            yield f"{name}: nothing tells whether it works"
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name}: port {port} is not on loopback"
        for volume in service.get("volumes", []):
            source, _, rest = str(volume).partition(":")
            if source.startswith((".", "/")) and not rest.endswith(":ro"):
                yield f"{name}: {source} of the machine can be written"
            if source.startswith(".") and not (HERE / source).exists():
                yield f"{name}: there is no {source}"
        for key, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN", key) and not key.endswith("__FILE"):
                yield f"{name}: {key} is a secret in the environment; take it from a file"
            if DEFAULT.search(str(value)):
                yield f"{name}: {key} has a default secret"


def loose_ends(compose: dict[str, Any]) -> Iterator[str]:
    """Names that lead nowhere."""
    services, secrets, volumes = compose["services"], compose["secrets"], compose["volumes"]
    used = set()
    for name, service in services.items():
        for secret in service.get("secrets", []):
            used.add(secret if isinstance(secret, str) else secret["source"])
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy" and not services[other].get("healthcheck"):
                yield f"{name}: waits for {other}, which never says that it is healthy"
    yield from (f"secret {name} is used and not there, or there and not used" for name in sorted(used ^ secrets.keys()))
    named = {str(volume).partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    used_volumes = {name for name in named if not name.startswith((".", "/"))}
    yield from (f"volume {name} is used and not there, or there and not used" for name in sorted(used_volumes ^ volumes.keys()))


def main() -> int:
    """The command."""
    compose = yaml.safe_load((HERE / "compose.yaml").read_text(encoding="utf-8"))
    mistakes = [*careless_services(compose["services"]), *loose_ends(compose)]
    for image in BASE.findall((HERE / "Dockerfile").read_text(encoding="utf-8")):
        if not re.search(r":v?\d+\.\d+", image):
            mistakes.append(f"Dockerfile: {image} has no version")
    for mistake in mistakes:
        print(f"deploy: {mistake}", file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
