"""Lowers any QONNX file to an integer network: activation regions become crossings. The entry point is `lower`."""
