"""From any QONNX file to an integer network: activation regions become crossings. It begins in `lower`."""
