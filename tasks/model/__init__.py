"""The shape of the configuration: frozen, typed, each key with one line that the schema and the docs show too."""

from __future__ import annotations

from .around import Hook, Organization, Upstream
from .artifact import Encryption, Plan
from .base import (
    EnvironmentName,
    EnvironmentVariable,
    KeyVariable,
    Model,
    OutputReference,
    PartName,
    Seconds,
    StackName,
    VariableName,
)
from .build import Build, Image, Login
from .ci import Ci
from .config import Config
from .policy import Allow, Checker, Policy, Protect, RequiredTags, Severity
from .stack import Backend, Deploy, Drift, Engine, Stack, VarFile
from .told import Channel, Command, Event, Forge, History, Publish, Reports, UrlVariable

__all__ = [
    "Allow",
    "Backend",
    "Build",
    "Channel",
    "Checker",
    "Ci",
    "Command",
    "Config",
    "Deploy",
    "Drift",
    "Encryption",
    "Engine",
    "EnvironmentName",
    "EnvironmentVariable",
    "Event",
    "Forge",
    "History",
    "Hook",
    "Image",
    "KeyVariable",
    "Login",
    "Model",
    "Organization",
    "OutputReference",
    "PartName",
    "Plan",
    "Policy",
    "Protect",
    "Publish",
    "Reports",
    "RequiredTags",
    "Seconds",
    "Severity",
    "Stack",
    "StackName",
    "Upstream",
    "UrlVariable",
    "VarFile",
    "VariableName",
]
