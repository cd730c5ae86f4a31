"""The pipeline of this repository: the package's own tasks, nothing else."""

from tasks import *
