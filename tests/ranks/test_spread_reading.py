"""The held-out text read by several ranks: the losses of one process, to the bit."""

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.inference.scoring.protocols import SEGMENTS, blocks
from pantoum.inference.scoring.reader import read_blocks
from pantoum.kernels import without_core
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.training.parallel.spread_reading import SpreadReading
from pantoum.training.together import Worker

V = 9


@pytest.mark.parametrize("length", [40, 1100, 4000])
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_find_the_losses_of_one_process(together, length, ranks):
    if without_core() is not None:
        pytest.skip("SKIP SKIP SKIP  no native core: rank 0 reads alone")
    config = ModelConfig("gru", 6, 2, 4, ngrams=(2, 3), ngram_rows=32)
    model, draw = LanguageModel(V, config=config, seed=3), np.random.default_rng(1)
    model.parameters["ngrams.weight"] = draw.standard_normal((64, V))
    tokens, resets_V = draw.integers(0, V, length).astype(np.uint8), np.arange(V) == 4
    program = Program(model)
    alone = list(read_blocks(program, blocks(tokens, SEGMENTS), resets_V))

    def work(group):
        if group.rank:
            from pantoum.training.parallel.rank_commands import next_command

            words = next_command(group)
            return getattr(Worker(group), words.pop("op"))(**words)
        return list(SpreadReading(group).read(program, model.parameters, tokens, SEGMENTS, resets_V))

    found = together(ranks, work)[0]
    assert len(found) == len(alone) and not any(block.warms for block, *_ in alone)
    for (block, nats_BT, predictions_BT), (same, nats, predictions, _) in zip(found, alone, strict=True):
        at = block.scored_BT
        assert np.array_equal(block.at_BT, same.at_BT)
        assert np.array_equal(nats_BT[at], nats[at])
        assert np.array_equal(predictions_BT[at], predictions[at])


def test_one_process_reads_alone():
    from pantoum.ranks.interface import SingleRank

    assert not SpreadReading(SingleRank()).possible
