"""Engine versions and version constraints, in OpenTofu's notation (`~> 1.12.0`)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class VersionConstraint:
    """A constraint such as `1.12.6`, `>=1.12, <2` or `~> 1.12.0`; `exact` is the version if it allows only one."""

    text: str
    exact: str | None

    @classmethod
    def parse(cls, text: str) -> VersionConstraint:
        """Read a constraint.

        Raises:
            ValueError: It is invalid; the message says what is expected.
        """
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        bare = text.strip().removeprefix("v")
        if re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?", bare):
            return cls(text, bare)
        try:
            SpecifierSet(cls._specifiers(text))
        except InvalidSpecifier as error:
            raise ValueError("a version like 1.12.6, or a constraint like '>=1.12, <2' or '~> 1.12.0'") from error
        if not re.search(r"\d", text):
            raise ValueError("a version like 1.12.6, or a constraint like '>=1.12, <2' or '~> 1.12.0'")
        return cls(text, None)

    @staticmethod
    def _specifiers(text: str) -> str:
        return ",".join(_specifier(part.strip()) for part in text.split(","))

    def allows(self, version: str) -> bool:
        """Whether a version (`1.12.6`) satisfies it."""
        if self.exact is not None:
            return version == self.exact
        from packaging.specifiers import SpecifierSet
        from packaging.version import InvalidVersion

        try:
            return SpecifierSet(self._specifiers(self.text)).contains(version, prereleases=True)
        except InvalidVersion:  # custom builds may have any version string
            return False


def _specifier(part: str) -> str:
    """One part of a constraint as a Python specifier: `~> 1.2` is `~=1.2`, a bare version is `==`."""
    operator, version = re.fullmatch(r"([~=!<>]*)\s*(.*)", part, re.DOTALL).groups()  # type: ignore[union-attr]
    return {"~>": "~=", "=": "==", "": "=="}.get(operator, operator) + version
