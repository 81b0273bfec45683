"""The fixtures of the command line and of small models, for the tests of all apps."""

from tests.cli.conftest import run as run
from tests.cli.conftest import text as text
from tests.cli.conftest import trained as trained
from tests.inference.conftest import characters as characters
from tests.inference.conftest import make as make
from tests.inference.conftest import rng as rng
