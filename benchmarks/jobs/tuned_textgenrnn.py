"""textgenrnn from the weights that it ships, tuned on a text and judged on another one.

    python benchmarks/jobs/tuned_textgenrnn.py LEARNED JUDGED MINUTES

For an environment of its own: textgenrnn 2.0 with its weights, ``tensorflow-cpu==2.15``, ``scikit-learn``,
``tqdm``. Each line is a text, as its documents say. It has as many whole epochs, at least one, as the first
updates say the minutes have room for, because its learning rate falls by epochs. It prints JSON: the nats per
byte of JUDGED, in which the end of a line is its sign for that, and the seconds of training.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from tensorflow.keras.optimizers import Adam
from textgenrnn import textgenrnn

BATCH, TRIED = 128, 30


def batches(model, lines):
    """What the model reads and has to predict, for each place of each line."""
    vocabulary, length = model.vocab, model.config["max_length"]
    for line in lines:
        signs = [vocabulary[model.META_TOKEN], *(vocabulary.get(sign, 0) for sign in line)]
        targets = [*signs[1:], signs[0]]
        for place, target in enumerate(targets):
            before = signs[max(0, place + 1 - length) : place + 1]
            yield [0] * (length - len(before)) + before, target


def main():
    """Tunes and judges."""
    learned, judged, minutes = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    lines = learned.read_text("utf-8").splitlines()
    model = textgenrnn()
    shipped = model.model.get_weights()
    places = sum(len(line) + 1 for line in lines)
    few = lines[: max(1, TRIED * BATCH * len(lines) // places)]
    for _ in range(2):  # the first updates compile
        began = time.perf_counter()
        model.train_on_texts(list(few), batch_size=BATCH, num_epochs=1, gen_epochs=0, verbose=0)
    epoch = (time.perf_counter() - began) * places / sum(len(line) + 1 for line in few)
    model.model.set_weights(shipped)
    model.model.compile(loss="categorical_crossentropy", optimizer=Adam())
    began = time.perf_counter()
    epochs = max(1, round(60 * minutes / epoch))
    model.train_on_texts(lines, batch_size=BATCH, num_epochs=epochs, gen_epochs=0, verbose=0)
    seconds = time.perf_counter() - began
    text = judged.read_text("utf-8")
    inputs, targets = zip(*batches(model, text.splitlines()), strict=True)
    predicted = model.model.predict(np.array(inputs), batch_size=1024, verbose=0)
    nats = -np.log(np.maximum(predicted[np.arange(len(targets)), targets], 1e-30)).sum()
    found = {"nats_per_byte": float(nats) / len(text.encode()), "epochs": epochs, "seconds": seconds}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
