"""Adapters between windows of audio and a model file: the card, onnxruntime, and the micro-batcher."""
