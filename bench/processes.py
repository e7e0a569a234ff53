"""Measure what each process of the deployment needs: memory at rest and during a run, and CPU per idle hour.

``python -m bench.processes [MINUTES]`` runs deploy/compose/compose.yaml as processes, lands the sample files, waits for
their run, and then lets everything idle for MINUTES (default 10). Memory is PSS: pages that processes share are divided
among them. CPU is the processes' own time, so load beside them does not count; it is scaled to an hour.
"""

import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from netflix_assets_tests.proof.compose import SERVICES, Deployment, build_image
from netflix_assets_tests.waiting import until

_RUN_WORKER = "spawn_main"


def main() -> None:
    """Measure and print a table. Takes 10 minutes and a run."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder, "running"), build_image(Path(folder, "image")))
        try:
            deployment.up()
            peaks = _run_of_samples(deployment)
            _print(deployment, peaks, minutes)
        finally:
            deployment.down()


def _run_of_samples(deployment: Deployment) -> dict[str, float]:
    """The highest memory, in MB, of the run's process and of dbt below it, while the sample files are built."""
    landed = deployment.run("demo")
    assert landed.returncode == 0, landed.stderr
    peaks = {"run": 0.0, "dbt": 0.0}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            for process in deployment.running["code"].processes():
                name = _role(process)
                if name in peaks:
                    peaks[name] = max(peaks[name], _memory_mb(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    current = deployment.home / "published" / "current"
    until(current.exists, lambda: deployment.log("code"), seconds=3600, pause=1)
    for _ in range(4):  # files landed after a run has begun are requested 30 s later
        until(lambda: deployment.process("code", _RUN_WORKER) is None, seconds=3600, pause=1)
        time.sleep(15)
    ended.set()
    watcher.join()
    return peaks


def _print(deployment: Deployment, peaks: dict[str, float], minutes: float) -> None:
    names = [name for name in SERVICES if name in deployment.running]
    before = {name: _cpu_s(deployment, name) for name in names}
    time.sleep(minutes * 60)
    used = {name: _cpu_s(deployment, name) - before[name] for name in names}
    print(f"{'':10} {'at rest MB':>10} {'CPU s/h idle':>12} {'health check CPU s':>18}")
    for name in names:
        rest = sum(_memory_mb(process) for process in deployment.running[name].processes())
        print(f"{name:10} {rest:10.0f} {used[name] * 60 / minutes:12.0f} {_health_check_s(deployment, name):18.2f}")
    for name, peak in peaks.items():
        print(f"{name:10} {peak:10.0f} MB at most, on the sample files")


def _role(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    return "dbt" if any(word.endswith("/dbt") for word in words) else "run" if _RUN_WORKER in " ".join(words) else ""


def _memory_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 1e6
    except psutil.Error:
        return 0.0


def _cpu_s(deployment: Deployment, name: str) -> float:
    """CPU seconds of a service so far, with those of its processes that have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in deployment.running[name].processes())


def _health_check_s(deployment: Deployment, name: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert deployment.is_healthy(name)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
