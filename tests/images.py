"""A repository with an image that a stack deploys, and what the tests look at in registries."""

from __future__ import annotations

import io
import shutil
import tarfile
from typing import TYPE_CHECKING

from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository
    from tests.servers.imageregistry import ImageRegistry

CONTAINERFILE = """\
FROM scratch
ARG GREETING=none
COPY busybox /bin/busybox
COPY page /srv
RUN ["/bin/busybox", "sh", "-c", "echo $GREETING > /greeting"]
CMD ["/bin/busybox", "httpd", "-f", "-h", "/srv"]
"""
TAKES = (
    'terraform {\n  backend "local" {}\n}\n\nvariable "image" {\n  type = string\n}\n\n'
    'resource "terraform_data" "it" {\n  input = var.image\n}\n\noutput "image" {\n  value = terraform_data.it.output\n}\n'
)


def config(name: str, more: str = "", stacks: str = "stacks: {web: {images: {image: server}}}\n") -> str:
    """A configuration with the image `server`, which the stack `web` deploys."""
    return minimal_config(f"images: {{server: {{context: server, repository: {name}{more}}}}}\n{stacks}")


def make_shop(build: Callable[..., Repository], repository_name: str, more: str = "") -> Repository:
    """The image `server`; the stack `web` deploys it, `other` knows nothing of it."""
    repository = build(
        config(repository_name, more),
        f"server/Containerfile:{CONTAINERFILE}",
        "server/page/index.html:first",
        f"stacks/web/main.tf:{TAKES}",
        f"stacks/other/main.tf:{resource()}",
    )
    shutil.copy2("/bin/busybox", repository.path / "server/busybox")
    repository.commit()
    return repository


def reference(done_line: str) -> str:
    """The image's reference in a line of a task."""
    return next(word.rstrip(";") for word in done_line.split() if "/server" in word)


def content_of(registry: ImageRegistry, path: str, tag: str) -> dict[str, bytes]:
    """What an image's layers hold, by name; of what is no file nothing."""
    found = {}
    for layer in registry.layers(path, tag):
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for member in archive:
                stream = archive.extractfile(member)
                found[member.name] = stream.read() if stream else b""
    return found


def files_of(registry: ImageRegistry, path: str, tag: str) -> set[str]:
    """The names of what an image's layers hold."""
    return set(content_of(registry, path, tag))
