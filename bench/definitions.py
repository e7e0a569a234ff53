"""How long the definitions take to load, against importing dagster and dagster_dbt alone, in turn.

python -m bench.definitions [--rounds 7]
"""

import argparse
import statistics
import subprocess
import sys
import time


def seconds(program: str) -> float:
    """Wall seconds of a fresh Python process that runs the program."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Run the rounds and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    seconds("import netflix_assets.definitions")  # parses the dbt project once
    ratios = []
    for _ in range(rounds):
        base, ours = seconds("import dagster, dagster_dbt"), seconds("import netflix_assets.definitions")
        ratios.append(ours / base)
        print(f"imports {base:5.2f} s   definitions {ours:5.2f} s   ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
