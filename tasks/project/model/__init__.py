"""The configuration's keys: frozen, typed, each with one line that the schema and the docs also show."""

from __future__ import annotations

from ...base.model import (
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
from .around import Hook, Organization, Upstream
from .build import Build, Image, Login
from .ci import Ci
from .drift import Drift, DriftClass, DriftIgnore, DriftSeverity, DriftSeverityRule, Looks
from .ledger import Ledger, Observations
from .plan import Encryption, Plan
from .policy import Allow, Checker, Policy, Protect, RequiredTags, Severity
from .root import Config
from .stack import Backend, Deploy, Engine, Stack, VarFile
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
    "DriftClass",
    "DriftIgnore",
    "DriftSeverity",
    "DriftSeverityRule",
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
    "Ledger",
    "Login",
    "Looks",
    "Model",
    "Observations",
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
