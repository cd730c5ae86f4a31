"""The pipeline of this example."""

from doit_tofu import *
