"""Writes a random checkpoint in bf16 with the shape of BLOOM-1.1B, for measuring how a model of that size loads.

    python tools/make-random-checkpoint.py OUTPUT --tokenizer DIR [--layers 24] [--width 1536] [--heads 16]

`OUTPUT` gets `config.json`, `model.safetensors` (written tensor by tensor) and the tokenizer's files of DIR, whose
vocabulary may be smaller than the model's.
Requires: numpy
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def shapes(layers, width, vocabulary):
    """`(name, shape)` of every tensor of a BLOOM model."""
    def norm(name):
        return [(f"{name}.weight", [width]), (f"{name}.bias", [width])]

    def linear(name, inputs, outputs):
        return [(f"{name}.weight", [outputs, inputs]), (f"{name}.bias", [outputs])]

    result = [("transformer.word_embeddings.weight", [vocabulary, width])]
    result += norm("transformer.word_embeddings_layernorm")
    for layer in range(layers):
        name = f"transformer.h.{layer}"
        result += norm(f"{name}.input_layernorm") + norm(f"{name}.post_attention_layernorm")
        result += linear(f"{name}.self_attention.query_key_value", width, 3 * width)
        result += linear(f"{name}.self_attention.dense", width, width)
        result += linear(f"{name}.mlp.dense_h_to_4h", width, 4 * width)
        result += linear(f"{name}.mlp.dense_4h_to_h", 4 * width, width)
    return result + norm("transformer.ln_f")


def values(name, count, generator):
    """bf16 bit patterns: norms near 1, everything else of deviation 0.02."""
    numbers = generator.standard_normal(count, dtype=numpy.float32) * numpy.float32(0.02)
    if "norm" in name and name.endswith("weight") or name.endswith("ln_f.weight"):
        numbers += 1
    return (numbers.view(numpy.uint32) >> 16).astype("<u2")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with the tokenizer's files")
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--width", type=int, default=1536)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--vocabulary", type=int, default=250880)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    config = dict(
        model_type="bloom", architectures=["BloomForCausalLM"], hidden_size=arguments.width, n_layer=arguments.layers,
        n_head=arguments.heads, vocab_size=arguments.vocabulary, layer_norm_epsilon=1e-5, bos_token_id=0,
        eos_token_id=0, tie_word_embeddings=True, dtype="bfloat16")
    (arguments.output / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for name in TOKENIZER_FILES:
        shutil.copyfile(arguments.tokenizer / name, arguments.output / name)

    tensors = shapes(arguments.layers, arguments.width, arguments.vocabulary)
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        end = offset + 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    generator = numpy.random.default_rng(arguments.seed)
    with open(arguments.output / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name, shape in tensors:
            left = int(numpy.prod(shape))
            while left:
                count = min(left, 1 << 24)
                file.write(values(name, count, generator).tobytes())
                left -= count
    print(f"{arguments.output}: {offset // 2} parameters, {offset} bytes")


if __name__ == "__main__":
    main()
