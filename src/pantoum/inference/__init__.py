"""A trained model at work: sessions and their state, writing, scoring, evaluating."""
