"""Decoding and encoding of bodies: JSON, YAML and the protobuf messages that kubectl sends."""
