"""Deployment files for an operator to begin with. They work as they are but for the names in them."""

from enum import StrEnum
from importlib import resources

EXAMPLE_DOMAIN = "chat.example.org"


class Deployment(StrEnum):
    DOCKER = "docker"
    COMPOSE = "compose"
    SYSTEMD = "systemd"
    NGINX = "nginx"
    CADDY = "caddy"


_FILES = {
    Deployment.DOCKER: "Dockerfile",
    Deployment.COMPOSE: "compose.yaml",
    Deployment.SYSTEMD: "chat-server.service",
    Deployment.NGINX: "nginx.conf",
    Deployment.CADDY: "Caddyfile",
}


def deployment_file(what: Deployment, domain: str = EXAMPLE_DOMAIN) -> str:
    """The text of the file, for that host name."""
    template = resources.files("chat_server") / "templates" / _FILES[what]
    return template.read_text(encoding="utf-8").replace(EXAMPLE_DOMAIN, domain)
