"""Text in, token numbers out, and back: bytes, characters, words and BPE behind one protocol.

``tokenizer`` holds the protocol and opens a spec; ``byte``, ``character``, ``word`` and ``bpe`` are the
tokenizers; ``documents`` says where one document ends; ``prompt`` brings what a person types near to what
a model knows. Nothing here touches a file.
"""
