"""The base of English: the model file beside this one."""

from pathlib import Path

MODEL = Path(__file__).with_name("english.safetensors")
