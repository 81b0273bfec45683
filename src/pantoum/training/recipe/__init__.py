"""What a text, a machine and some minutes call for: sizes, settings, the loss to expect."""
