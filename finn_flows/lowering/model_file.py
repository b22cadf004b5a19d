"""ONNX files, whole: weights may also lie in files beside the .onnx file (onnx's external data)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor, uses_external_data
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.validity import check_file

_MOST_BYTES = 2**31 - 1  # protobuf's limit, which shape inference and the build's own copy have to keep


def load_model(path: Path) -> ModelWrapper:
    """Load an ONNX file with all of its weights.

    Raises:
        LoweringError: See `load_whole`; or the graph is not valid.
    """
    whole = load_whole(path)
    try:
        check_file(whole)
    except LoweringError as error:
        raise LoweringError(f"{path}: {error}") from None
    _declare_once(whole.graph)
    return ModelWrapper(whole, fix_float64=True)


def _declare_once(graph: GraphProto) -> None:
    """Remove shapes that a graph declares more than once, in place; inputs and outputs have their own."""
    seen = {each.name for each in (*graph.input, *graph.output)}
    kept = []
    for value in graph.value_info:
        if value.name not in seen:
            seen.add(value.name)
            kept.append(value)
    del graph.value_info[:]
    graph.value_info.extend(kept)


def load_whole(path: Path) -> ModelProto:
    """Load an ONNX file, with its external weights inside.

    Args:
        path: The file. External weights lie in its folder or below, wherever the process runs.

    Raises:
        LoweringError: If the file or a file of its weights cannot be read, is damaged or lies elsewhere, or if all weights
            together exceed 2 GB. The message names the file.
    """
    proto = _parsed(path)
    outside = [tensor for tensor in _tensors(proto.graph) if uses_external_data(tensor)]
    for tensor in outside:
        _check_inside(path, tensor)
    if outside:
        inside = path.stat().st_size
        size = inside + sum(file.stat().st_size for file in _places(path, outside) if file.is_file())
        if size > _MOST_BYTES:
            raise LoweringError(
                f"{path} and its weights have {size / 1e9:.1f} GB: at most 2 GB are supported"
            )
    for tensor in outside:
        _load(path, tensor)
    return proto


def content_files(path: Path) -> list[Path]:
    """Return all files that hold the content of an ONNX file: the file itself, then those of its external weights.

    Raises:
        LoweringError: See `load_whole`.
    """
    load_whole(path)
    outside = [tensor for tensor in _tensors(_parsed(path).graph) if uses_external_data(tensor)]
    return [path, *_places(path, outside)]


def _parsed(path: Path) -> ModelProto:
    try:
        proto = ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise LoweringError(f"{path} cannot be read ({error.strerror or error})") from None
    except Exception:  # protobuf's DecodeError, wherever it lives
        raise LoweringError(f"{path} is not an ONNX file") from None
    if not _is_text(proto):
        raise LoweringError(f"{path} is not an ONNX file: some of its names are no text (UTF-8)")
    if not proto.graph.node:
        raise LoweringError(f"{path} is not an ONNX file, or its graph is empty")
    return proto


def _is_text(message: Any) -> bool:
    """Return whether all texts of a message are UTF-8; protobuf returns others as bytes."""
    for field, value in message.ListFields():
        values = value if field.label == field.LABEL_REPEATED else [value]
        if field.type == field.TYPE_STRING and not all(isinstance(each, str) for each in values):
            return False
        if field.type == field.TYPE_MESSAGE and not all(_is_text(each) for each in values):
            return False
    return True


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield all constants of a graph: initializers, and attributes of nodes and their subgraphs."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _tensors(inner)


def _places(path: Path, outside: list[TensorProto]) -> list[Path]:
    """Return the files of external tensors, each once, sorted."""
    return sorted({path.parent / ExternalDataInfo(tensor).location for tensor in outside})


def _check_inside(path: Path, tensor: TensorProto) -> None:
    """Refuse external weights outside a model's folder, also behind links."""
    location, folder = ExternalDataInfo(tensor).location or "", path.resolve().parent
    try:
        is_inside = (folder / location).resolve().is_relative_to(folder)
    except (OSError, ValueError):  # a loop of links, a zero byte
        is_inside = False
    if not location or not is_inside:
        raise LoweringError(
            f"{path}: the weights of {tensor.name} are said to be in {location!r}, which is not in the model's folder: keep "
            "weights as regular files in it"
        )


def _load(path: Path, tensor: TensorProto) -> None:
    """Read an external tensor into the model. onnx refuses links, also to files in the model's folder."""
    location = ExternalDataInfo(tensor).location
    try:
        load_external_data_for_tensor(tensor, str(path.resolve().parent))
    except onnx.checker.ValidationError as error:
        if (path.parent / location).exists():
            raise LoweringError(
                f"{path}: the weights of {tensor.name} are in {location}, which onnx refuses to read ({error}): "
                "keep weights as regular files in the model's folder"
            ) from None
        raise LoweringError(
            f"{path}: {path.parent / location}, which holds its weights, does not exist: keep both files together"
        ) from None
    except (OSError, ValueError) as error:
        raise _damaged(path, location, tensor, error) from None
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]
    try:
        numpy_helper.to_array(tensor)  # older releases of onnx read short files without a word
    except ValueError as error:
        raise _damaged(path, location, tensor, error) from None


def _damaged(path: Path, location: str, tensor: TensorProto, error: Exception) -> LoweringError:
    return LoweringError(
        f"{path.parent / location} does not hold the weights of {tensor.name} in {path.name} ({error}): "
        "export the model again"
    )
