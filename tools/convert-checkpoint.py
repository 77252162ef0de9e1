"""Copies a Hugging Face model directory with its float32 weights rounded to bfloat16, or out of a PyTorch file.

    python tools/convert-checkpoint.py [--keep-types] SOURCE OUTPUT

Reads `model.safetensors`, or else `pytorch_model.bin` (or the shards of its index), rounds every F32 tensor to the
nearest bfloat16 (ties to even) unless told to keep the types, writes `model.safetensors` and a `config.json`, and copies
`generation_config.json` and the tokenizer's files. Tensors of a PyTorch file that share memory are written once.
Requires: numpy, and torch for PyTorch files
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy

COPIED = (
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
    "merges.txt", "vocab.txt", "spiece.model",
)


def read_safetensors(path):
    """`(tensors, metadata)`, where tensors maps a name to `(dtype, shape, bytes)` in the order of the data."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    body = memoryview(data)[8 + length :]
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["dtype"], entry["shape"], body[begin:end])
    return tensors, metadata


def read_pytorch(directory):
    """As `read_safetensors`, of `pytorch_model.bin` or the files that `pytorch_model.bin.index.json` names."""
    import torch

    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    index = directory / "pytorch_model.bin.index.json"
    files = sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.exists() else [
        "pytorch_model.bin"]
    tensors, places = {}, set()
    for file in files:
        for name, tensor in torch.load(directory / file, map_location="cpu", weights_only=True).items():
            if tensor.dtype not in names:
                print(f"{name}: left out, its type is {tensor.dtype}")
                continue
            place = (file, tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
            if tensor.numel() and place in places:
                print(f"{name}: left out, it shares its memory with a tensor before it")
                continue
            places.add(place)
            data = tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else tensor.numpy().tobytes()
            tensors[name] = (names[tensor.dtype], list(tensor.shape), data)
    return tensors, {"format": "pt"}


def write_safetensors(path, tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, _, data in tensors.values():
            file.write(data)


def round_to_bfloat16(data, name):
    """The upper halves of float32 values, rounded to nearest, ties to even, as little-endian bytes."""
    values = numpy.frombuffer(data, dtype="<f4")
    if not numpy.isfinite(values).all():
        raise SystemExit(f"{name}: a value is not finite")
    bits = values.view("<u4").astype(numpy.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return rounded.astype("<u2").tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--keep-types", action="store_true", help="do not round to bfloat16")
    arguments = parser.parse_args()

    if (arguments.source / "model.safetensors").exists():
        tensors, metadata = read_safetensors(arguments.source / "model.safetensors")
    else:
        tensors, metadata = read_pytorch(arguments.source)
    for name, (dtype, shape, data) in tensors.items():
        if dtype == "F32" and not arguments.keep_types:
            tensors[name] = ("BF16", shape, round_to_bfloat16(data, name))

    arguments.output.mkdir(parents=True, exist_ok=True)
    write_safetensors(arguments.output / "model.safetensors", tensors, metadata)
    config = json.loads((arguments.source / "config.json").read_text())
    if not arguments.keep_types:
        config.pop("torch_dtype", None)
        config["dtype"] = "bfloat16"
    (arguments.output / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for name in COPIED:
        if (arguments.source / name).exists():
            shutil.copyfile(arguments.source / name, arguments.output / name)
    size = (arguments.output / "model.safetensors").stat().st_size
    print(f"{arguments.output / 'model.safetensors'}: {len(tensors)} tensors, {size} bytes")


if __name__ == "__main__":
    main()
