"""Compare the time to load the definitions with the time to import only dagster and dagster_dbt.

    python -m bench.definitions [--rounds 7]

The two alternate, because only their ratio compares between machines.
"""

import argparse
import statistics
import subprocess
import sys
import time


def seconds(program: str) -> float:
    """Return the wall seconds that a new Python process takes to run the program."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - started


_LOAD = """
from netflix_assets.definitions import load_defs
from netflix_assets.settings import current_settings
load_defs(current_settings())
"""


def main() -> None:
    """Run the rounds and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    seconds(_LOAD)  # the first load parses the dbt project
    ratios = []
    for _ in range(rounds):
        imports, definitions = seconds("import dagster, dagster_dbt"), seconds(_LOAD)
        ratios.append(definitions / imports)
        print(f"imports {imports:5.2f} s   definitions {definitions:5.2f} s   ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
