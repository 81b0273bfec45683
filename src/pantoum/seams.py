"""All that an app may import of pantoum beside its public names and errors (``tests/test_layers.py``).

An app is a package below ``pantoum.apps``, or one that somebody else writes. It is reached through entry
points (``extensions``), and reaches back through this module alone. A name is imported when it is first used,
so that a command pays for what it needs. What is not listed here may change without notice.
"""

from __future__ import annotations

import ast
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pantoum import extensions
    from pantoum.api import train
    from pantoum.cli.options import add_settings, from_environment, given
    from pantoum.cli.output import Output, is_terminal
    from pantoum.cli.running import Asked
    from pantoum.config import (
        AUTO,
        CELLS,
        OF_ONE_COMMAND,
        VERSION,
        AskedForm,
        CellSpec,
        ModelConfig,
        SamplingConfig,
        TrainSettings,
    )
    from pantoum.config.calls import public as public_call
    from pantoum.config.calls import taking
    from pantoum.config.launcher import (
        launched_count,
        launched_rank,
        tasks_of_a_step,
        torchrun_count,
        unused_tasks,
    )
    from pantoum.config.plain import Plain, quoted
    from pantoum.config.rules import number as check_number
    from pantoum.config.rules import one_of as check_one_of
    from pantoum.config.rules import path as check_path
    from pantoum.config.rules import require, require_apart, require_place, several
    from pantoum.config.rules import text as check_text
    from pantoum.config.rules import texts as check_texts
    from pantoum.config.rules import truth as check_truth
    from pantoum.config.rules import whole as check_whole
    from pantoum.config.score import ScoreConfig
    from pantoum.config.setting import SettingGroup, setting
    from pantoum.config.tokens import TOKEN_KINDS, TokenKind, check_tokens
    from pantoum.data.batches import Batch
    from pantoum.data.expand import Bound, transcoded
    from pantoum.data.forms import HEAD as FORM_HEAD
    from pantoum.data.forms import Form as FileForm
    from pantoum.data.forms import form_of
    from pantoum.data.prepare import prepare
    from pantoum.data.sources import unreadable
    from pantoum.formats import bounded, durable, model_file, plain_json, tensor_layout
    from pantoum.formats.bounded_child import BadFileError, read_apart
    from pantoum.formats.checkpoint import MOST_STEPS
    from pantoum.formats.model_file import COUNTS as COUNTS_NAME
    from pantoum.formats.model_file import ModelFile, is_model_file
    from pantoum.inference.adapt import Adapter
    from pantoum.inference.adapted import adapter_of
    from pantoum.inference.alert import threshold as alert_threshold
    from pantoum.inference.constraint import DROPPED, constraint_of
    from pantoum.inference.evaluation import evaluate
    from pantoum.inference.exporting import notes_on_cache
    from pantoum.inference.files import counts_file
    from pantoum.inference.files.precision import plain as plain_weights
    from pantoum.inference.files.precision import require_filled, shape_of
    from pantoum.inference.files.precision import weights as weights_of_file
    from pantoum.inference.loaded_model import (
        MODEL_NAME,
        LoadedModel,
        counts_of,
        model_path,
        of_bytes,
        of_content,
    )
    from pantoum.inference.loaded_model import load as load_model
    from pantoum.inference.next_word import Suggester, begun_word
    from pantoum.inference.probabilities import sentence_nats
    from pantoum.inference.reading import Reading, advance
    from pantoum.inference.scorer import Scorer
    from pantoum.inference.scorer import resets as document_resets
    from pantoum.inference.scoring.reader import ReadElsewhere
    from pantoum.inference.scoring.units import Score
    from pantoum.inference.state import State
    from pantoum.inference.writing.adjusted import Drawn
    from pantoum.inference.writing.generation import draw_seed
    from pantoum.inference.writing.stream_batch import Stream, StreamBatch
    from pantoum.kernels import Array, DropoutDraw, Workspace, backend, without_core
    from pantoum.kernels.measured import cache_folder
    from pantoum.kernels.native.declaration import Declaration
    from pantoum.kernels.reference.cell import Given as CellInputs
    from pantoum.kernels.reference.cell import equations
    from pantoum.kernels.reference.dropout import FIRST as DROPOUT_FIRST
    from pantoum.kernels.reference.dropout import GOLDEN as DROPOUT_GOLDEN
    from pantoum.kernels.reference.dropout import LEVELS as DROPOUT_LEVELS
    from pantoum.kernels.reference.dropout import SECOND as DROPOUT_SECOND
    from pantoum.kernels.reference.dropout import START as DROPOUT_START
    from pantoum.kernels.reference.dropout import dropout_threshold
    from pantoum.kernels.reference.tables import LEAST_PROBABILITY
    from pantoum.kernels.reference.update import NEWTON_SCHULZ, SMALLEST_NORM, block_rate
    from pantoum.kernels.types import SIZES as COUNT_TREE_SIZES
    from pantoum.model import Model, load
    from pantoum.network import LanguageModel
    from pantoum.network.checks import require_finite
    from pantoum.network.gradient import EVERY as GRADIENT_SCALE_EVERY
    from pantoum.network.gradient import WINDOW as GRADIENT_SCALE_WINDOW
    from pantoum.network.gradient import Gradient
    from pantoum.network.head import shared_weight
    from pantoum.network.mixers.contexts import MOST_SYMBOLS, ContextMixer
    from pantoum.network.mixers.counts import Contexts as CountedContexts
    from pantoum.network.mixers.counts import CountMixture, Counts
    from pantoum.network.mixers.ngrams import MULTIPLIER as NGRAM_MULTIPLIER
    from pantoum.network.network_state import NetworkState
    from pantoum.network.packing import Codes
    from pantoum.network.packing import floats as floats_of_codes
    from pantoum.network.parameters import seed_of
    from pantoum.network.parameters import under as parameters_under
    from pantoum.network.spec import TABLE as TABLE_ROLE
    from pantoum.network.spec import named as names_of_role
    from pantoum.network.spec import number as parameter_count
    from pantoum.network.spec import prefix as member_prefix
    from pantoum.network.spec import state_of
    from pantoum.network.stepping import stepper
    from pantoum.report.terminal import Counter
    from pantoum.report.wording import size as readable_size
    from pantoum.text.documents import mark as document_mark
    from pantoum.text.encodings import page_text
    from pantoum.text.numbers import joined as joined_pieces
    from pantoum.text.prompt import encode_prompt, prompt_places, space_held
    from pantoum.text.tokenizer import Tokenizer, declared_size, from_spec
    from pantoum.texts import Texts, counting, listed, say
    from pantoum.training.assembly import make_backend
    from pantoum.training.recipe.recipe import Recipe
    from pantoum.training.result import RunResult
    from pantoum.training.run.signals import NAMES as STOP_SIGNALS
    from pantoum.training.update.backend import (
        Backend,
        LocalBackend,
        Members,
        SharedBackend,
        StepResult,
        TrainingEngine,
    )
    from pantoum.training.update.learner import require_arrays
    from pantoum.training.update.optimizer import BETAS as OPTIMIZER_BETAS
    from pantoum.training.update.optimizer import EPSILON as OPTIMIZER_EPSILON
    from pantoum.training.update.optimizer import MOMENTUM as OPTIMIZER_MOMENTUM
    from pantoum.training.update.optimizer import MUON_RATE as OPTIMIZER_MUON_RATE
    from pantoum.training.update.optimizer import TABLE_KEEP as OPTIMIZER_TABLE_KEEP
    from pantoum.training.update.optimizer import map_blocks
    from pantoum.training.update.pulled import matrices
    from pantoum.training.update.shards import Node, Shards, Share, halves, tree_sum
    from pantoum.training.update.spelling import EVERY as SPELLING_EVERY
    from pantoum.training.update.spelling import RATES as SPELLING_RATES
    from pantoum.training.update.spelling import betas_and_decay as spelling_betas_and_decay
    from pantoum.training.update.spelling import shares as spelling_shares
    from pantoum.training.update.symbols import NO_SYMBOLS, Symbols

if not TYPE_CHECKING:  # mypy then says which names are missing

    def _places() -> dict[str, tuple[str, str]]:
        """The module of each name in the block above, and the name there, from the source of this file."""
        tree = ast.parse(__loader__.get_source(__name__))
        block = next(node.body for node in tree.body if isinstance(node, ast.If))
        return {each.asname or each.name: (node.module, each.name) for node in block for each in node.names}

    _PLACES = _places()

    def __getattr__(name: str) -> object:
        if name not in _PLACES:
            raise AttributeError(f"module 'pantoum.seams' has no attribute {name!r}")
        home, there = _PLACES[name]
        try:
            value: object = getattr(import_module(home), there)
        except AttributeError:  # a module that nobody has imported yet
            value = import_module(f"{home}.{there}")
        globals()[name] = value
        return value
