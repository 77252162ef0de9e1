"""Compares SoftPrompt with PEFT on the same base model, adapter and data.

    python tools/check-peft.py --softprompt .build/release/softprompt --model DIR --data FILE \\
        [--adapter DIR] [--generate]

Checks the losses of every example (mean over its target tokens) without an adapter, with `--adapter` (one that
`softprompt train` wrote) and with an adapter that PEFT makes and saves here. With `--generate` the greedy
continuations too. Both sides compute in float32. Prints the worst difference of each check; exit status 1 where one is
beyond the tolerance.
Requires: torch transformers peft tokenizers safetensors
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import peft_reference as reference
import torch

# A greedy step whose best two logits lie closer than this may go either way.
TIE = 1e-3


def run_softprompt(arguments, command, adapter, options, text=None):
    line = [arguments.softprompt, command, "--model", str(arguments.model), "--device", arguments.device, *options]
    if adapter is not None:
        line += ["--adapter", str(adapter)]
    result = subprocess.run(line, input=text, stdout=subprocess.PIPE, encoding="utf-8")
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(line)}: exit status {result.returncode}")
    return result.stdout


def softprompt_losses(arguments, adapter, data, folder):
    predictions = folder / "predictions.jsonl"
    run_softprompt(
        arguments, "evaluate", adapter,
        ["--data", str(data), "--metrics", "loss", "--predictions", str(predictions), "--json"])
    return [(row["loss"], row["tokens"]) for row in reference.read_examples(predictions)]


def check_losses(name, arguments, model, adapter, pairs, data, folder):
    """True if every example's loss and number of tokens agree."""
    theirs = reference.example_losses(model, pairs)
    ours = softprompt_losses(arguments, adapter, data, folder)
    if len(ours) != len(theirs):
        print(f"{name}: {len(ours)} predictions for {len(theirs)} examples")
        return False
    counts = [i for i in range(len(ours)) if ours[i][1] != theirs[i][1]]
    if counts:
        i = counts[0]
        print(f"{name}: example {i + 1} has {ours[i][1]} target tokens in softprompt, {theirs[i][1]} in PEFT")
        return False
    differences = [abs(a - b) for (a, _), (b, _) in zip(ours, theirs)]
    worst = max(range(len(differences)), key=lambda i: differences[i] if differences[i] == differences[i] else 1e9)
    print(f"{name}: {len(pairs)} examples, mean loss softprompt {reference.mean_loss(ours):.6f}, "
          f"PEFT {reference.mean_loss(theirs):.6f}, worst difference {differences[worst]:.2e} (example {worst + 1})")
    return all(difference <= arguments.tolerance for difference in differences)


@torch.no_grad()
def greedy(model, context, ends, count):
    """transformers' greedy tokens without the end token, and by how much each one led."""
    output = model.generate(
        input_ids=torch.tensor([context]), attention_mask=torch.ones(1, len(context), dtype=torch.long),
        do_sample=False, max_new_tokens=count, eos_token_id=ends, pad_token_id=ends[0],
        output_scores=True, return_dict_in_generate=True)
    # With a prompt in front some versions return the context, some do not; there is one score per new token.
    ids = output.sequences[0].tolist()[-len(output.scores) :]
    leads = [(best := scores[0].topk(2).values)[0].item() - best[1].item() for scores in output.scores]
    if ids and ids[-1] in ends:
        ids = ids[:-1]
    return ids, leads


def lead_where_they_part(encoder, ids, leads, text):
    """The lead of the first token that `text` does not follow."""
    for count in range(1, len(ids) + 1):
        if not text.startswith(encoder.decode(ids[:count]).rstrip("\ufffd")):
            return leads[count - 1]
    return leads[len(ids)] if len(leads) > len(ids) else leads[-1]


def check_texts(name, arguments, model, adapter, examples, encoder):
    """True if the greedy continuations are equal, or part at a tie."""
    ends = [encoder.end]
    inputs = [example["input"] for example in examples]
    lines = "".join(json.dumps(text) + "\n" for text in inputs)
    output = run_softprompt(
        arguments, "generate", adapter, ["--json", "--max-new-tokens", str(arguments.max_new_tokens)], lines)
    ours = [json.loads(line) for line in output.splitlines()]
    if len(ours) != len(inputs):
        print(f"{name}: {len(ours)} texts for {len(inputs)} inputs")
        return False
    equal, ties, wrong = 0, 0, []
    for text, mine in zip(inputs, ours):
        ids, leads = greedy(model, encoder.context(text), ends, arguments.max_new_tokens)
        theirs = encoder.decode(ids)
        if mine == theirs:
            equal += 1
        elif (lead := lead_where_they_part(encoder, ids, leads, mine)) <= TIE:
            ties += 1
        else:
            wrong.append((text, mine, theirs, lead))
    print(f"{name}: {equal} of {len(inputs)} greedy texts equal, {ties} part at a tie, {len(wrong)} differ")
    for text, mine, theirs, lead in wrong[:3]:
        print(f"  input      {text!r}\n  softprompt {mine!r}\n  PEFT       {theirs!r}\n  lead there {lead:.2e}")
    return not wrong


def make_adapter(arguments, folder):
    """A PEFT adapter of rows from the vocabulary plus noise, saved by PEFT."""
    model = reference.load_base(arguments.model)
    table = model.get_input_embeddings().weight.detach()
    generator = torch.Generator().manual_seed(arguments.seed)
    rows = table[torch.randint(0, len(table), (arguments.prompt_length,), generator=generator)]
    prompt = rows + 0.5 * rows.std() * torch.randn(rows.shape, generator=generator)
    reference.save_adapter(reference.with_prompt(model, prompt), folder / "peft-adapter")
    return folder / "peft-adapter"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--softprompt", required=True, help="the binary")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, help="an adapter that softprompt wrote")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, default=64, help="examples to compare (default 64; 0: all)")
    parser.add_argument("--prompt-length", type=int, default=20, help="of the adapter that PEFT makes (default 20)")
    parser.add_argument("--generate", action="store_true", help="compare greedy continuations too")
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--tolerance", type=float, default=2e-4, help="of a loss (default 2e-4)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    examples = reference.read_examples(arguments.data)
    if arguments.limit:
        examples = examples[: arguments.limit]
    encoder = reference.TextEncoder(arguments.model)
    pairs = [encoder.pair(example) for example in examples]
    passed = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data.jsonl"
        data.write_text("".join(json.dumps(example) + "\n" for example in examples), encoding="utf-8")
        checks = [("no adapter", None), ("adapter by PEFT", make_adapter(arguments, folder))]
        if arguments.adapter is not None:
            checks.append(("adapter by softprompt", arguments.adapter))
        for label, adapter in checks:
            model = reference.load_base(arguments.model)
            if adapter is not None:
                model = reference.with_adapter(model, adapter)
            passed &= check_losses(label, arguments, model, adapter, pairs, data, folder)
            if arguments.generate:
                passed &= check_texts(label, arguments, model, adapter, examples, encoder)
    print("passed" if passed else f"FAILED (tolerance {arguments.tolerance:g})")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
