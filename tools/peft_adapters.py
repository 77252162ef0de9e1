"""What the scripts that let PEFT open adapters of SoftPrompt's library share.

The adapters are those of a folder of fixtures, which PEFT made, and the same ones as a Swift test writes them again.
Requires: torch safetensors
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file
from transformers.utils import logging

ROOT = Path(__file__).resolve().parent.parent


def compare(description, test, fixtures, cases, outputs):
    """Ends the script: with status 1 where an output differs from `expected.safetensors` by more than the tolerance.

    `test` is a filter of `swift test`; `outputs(folder, adapter, name, settings, expected)` gives what PEFT's model
    computes, by the names in `expected`.
    """
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of the largest value (default 1e-4)")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    passed = True
    with tempfile.TemporaryDirectory() as written:
        subprocess.run(
            ["swift", "test", "--filter", test], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
            env=os.environ | {"SOFTPROMPT_WRITTEN_ADAPTERS": written})
        for name, settings in cases.items():
            folder = ROOT / "Tests/PromptTuningTests/Fixtures" / fixtures / name
            expected = load_file(folder / "expected.safetensors")
            for label, adapter in (("PEFT", folder / "adapter"), ("softprompt", Path(written) / name)):
                values = outputs(folder, adapter, name, settings, expected)
                differences = [
                    ((value - expected[key]).abs().max() / expected[key].abs().max()).item()
                    for key, value in values.items()]
                print(
                    f"{name}: adapter by {label}, {len(values)} outputs, worst relative difference "
                    f"{max(differences):.1e}")
                # Not a number is no agreement.
                passed &= all(difference <= arguments.tolerance for difference in differences)
    print("passed" if passed else f"FAILED (tolerance {arguments.tolerance:g})")
    sys.exit(0 if passed else 1)
