"""Throughput and latency of ``zoo serve``, compared with ONNX Runtime in a loop; memory over time; kills under load.

Usage:
    python -m tests.benchmarks.service FILE.onnx                 # table, then JSON
    python -m tests.benchmarks.service FILE.onnx --soak 600      # memory of the service under half load
    python -m tests.benchmarks.service FILE.onnx --kill 5        # kill -9 and restart under load, five times

The service, the loop and the load generator each have a process of their own. The ceiling is what uvicorn answers
without a model, to the same requests. The machine must be otherwise idle.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zoo_export.runtimes import import_onnxruntime

from tests.benchmarks.service_ceiling import saying_hello
from tests.benchmarks.service_load import load, make_images, make_request, waiting_line
from tests.benchmarks.stalls import measure as measure_stalls
from tests.support.serving import serving

_MAX_CLIENTS = 32  # of the open-loop load
_ANSWER = 170  # bytes of JSON in an answer, about; 40 more for each image with ten classes


def machine() -> dict[str, Any]:
    """Return the machine and the versions of what is measured."""
    packages = ("keras-zoo", "onnxruntime", "uvicorn", "httptools", "uvloop", "numpy")
    return {
        "processor": platform.processor() or platform.machine(), "processors": len(os.sched_getaffinity(0)),
        "python": platform.python_version(), "packages": {name: version(name) for name in packages},
    }  # fmt: skip


def bare(file: str, size: int, seconds: float) -> float:
    """Return the images that ONNX Runtime computes in a second, in a loop."""
    ort = import_onnxruntime()

    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    feed = {given.name: make_images(tuple(given.shape[1:]), size)}
    for _ in range(3):
        session.run(None, feed)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        session.run(None, feed)
        count += size
    return count / (time.perf_counter() - started)


class Client:
    """A connection to the service that sends the same images again and again."""

    def __init__(self, port: int, name: str, images: NDArray[np.uint8]) -> None:
        self._request = make_request(name, images)
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self) -> NDArray[np.float32] | None:
        """Return the probabilities, flat, or None if the answer is another status than 200.

        Raises:
            OSError: The connection ended.
        """
        self._connection.sendall(self._request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._receive()
        head = data[:end].lower()
        found = re.search(rb"\r\ncontent-length: (\d+)", head)
        size = end + 4 + int(found[1]) if found else end + 4
        while len(data) < size:
            data += self._receive()
        if not head.startswith(b"http/1.1 200"):
            return None
        length = re.search(rb"\r\ninference-header-content-length: (\d+)", head)
        return np.frombuffer(data[end + 4 + int(length[1]) if length else size :], "<f4")

    def close(self) -> None:
        self._connection.close()

    def _receive(self) -> bytes:
        if not (part := self._connection.recv(1 << 18)):
            raise ConnectionResetError("the service ended the connection")
        return part


def processes_of(service: subprocess.Popen[str]) -> list[int]:
    """Return the IDs of a service's processes: its own and those of its workers."""
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text()
    return [service.pid, *map(int, children.split())]


def processor_seconds(service: subprocess.Popen[str]) -> float:
    """Return the processor time that a service's processes have taken."""
    ticks = 0
    for process in processes_of(service):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def apart(*arguments: object) -> Any:
    """Return what this program prints, with arguments, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.service", *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(file: str, sizes: list[int], seconds: float, clients: int, workers: int) -> dict[str, Any]:
    """Return the throughput at each size of request, and the latency at half of it."""
    rows: list[dict[str, Any]] = []
    stalls = measure_stalls()
    print(stalls, flush=True)
    for size in sizes:
        timed = ("--seconds", seconds)
        before = apart(file, "--bare", size, *timed)
        with saying_hello(_ANSWER + 40 * size) as port:
            ceiling = apart(file, "--load", port, "x", size, clients, 0, *timed)["images_per_s"]
        with serving(file, "--quiet", "--workers", str(workers)) as served:
            at = ("--load", served.port, served.name, size)
            used = processor_seconds(served.process)
            full = apart(file, *at, clients, 0, *timed)
            used = processor_seconds(served.process) - used
            half, even = (
                apart(file, *at, _MAX_CLIENTS, full["requests_per_s"] / 2, *timed, *more) for more in ([], ["--even"])
            )
        after = apart(file, "--bare", size, *timed)
        loop = (before + after) / 2
        row = {
            "size": size, "loop_images_per_s": loop, "ceiling_images_per_s": ceiling, "full": full, "half": half,
            "half_even": even, "share": full["images_per_s"] / loop,
            "p99_to_median": half["p99_ms"] / half["median_ms"],
            "p99_to_median_even": even["p99_ms"] / even["median_ms"],
            "processor_us_per_request": 1e6 * used / full["requests"],
        }  # fmt: skip
        rows.append(row)
        print(
            f"{size:4} images: loop {loop:8.0f}/s, ceiling {ceiling:8.0f}/s, service {full['images_per_s']:8.0f}/s, "
            f"share {row['share']:.2f}, {row['processor_us_per_request']:.0f} us of processors a request; "
            f"half load: at random times median {half['median_ms']:.1f} ms, p99 {half['p99_ms']:.1f} ms "
            f"({row['p99_to_median']:.1f} x), at even intervals {even['median_ms']:.1f} ms, {even['p99_ms']:.1f} ms "
            f"({row['p99_to_median_even']:.1f} x); {full['failed'] + half['failed'] + even['failed']} failed",
            flush=True,
        )
    print(f"A perfect service that computes one request at a time has a p99 of {waiting_line():.1f} x at random times.")
    return {
        "machine": machine(),
        "stalls": asdict(stalls),
        "file": Path(file).name,
        "seconds": seconds,
        "clients": clients,
        "workers": workers,
        "rows": rows,
    }


def resident_mib(service: subprocess.Popen[str]) -> float:
    """Return the resident memory of a service's processes."""
    statuses = [Path(f"/proc/{process}/status").read_text() for process in processes_of(service)]
    return sum(int(status.partition("VmRSS:")[2].split()[0]) for status in statuses) / 1024


def soak(file: str, seconds: float, size: int, clients: int, workers: int = 1) -> dict[str, Any]:
    """Return the memory of the service over time, under half load."""
    samples: list[tuple[float, float]] = []
    with serving(file, "--quiet", "--workers", str(workers)) as served:
        full = apart(file, "--load", served.port, served.name, size, clients, 0, "--seconds", 3)
        arguments = [
            "--load",
            served.port,
            served.name,
            size,
            _MAX_CLIENTS,
            full["requests_per_s"] / 2,
            "--seconds",
            seconds,
        ]
        command = [sys.executable, "-m", "tests.benchmarks.service", file, *map(str, arguments)]
        started = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
            while generator.poll() is None:
                samples.append((time.monotonic() - started, resident_mib(served.process)))
                time.sleep(min(5.0, seconds / 20))
            found = json.loads(generator.communicate()[0])
    kept = [mib for at, mib in samples if at > seconds / 5]  # what is allocated once comes before
    print(
        f"resident memory {kept[0]:.1f} MiB after a fifth of the time, {kept[-1]:.1f} at the end, "
        f"{max(kept):.1f} at most"
    )
    return {"seconds": seconds, "samples_mib": samples, "load": found}


def _judge(answer: NDArray[np.float32] | None, expected: NDArray[np.float32]) -> str:
    """Return whether an answer is right, wrong or none."""
    if answer is None:
        return "refused"
    return "right" if np.allclose(answer, expected, atol=1e-5) else "wrong"


def _close(client: Client | None) -> None:
    if client is not None:
        client.close()


def kill(file: str, rounds: int, size: int, clients: int, workers: int = 1) -> dict[str, int]:
    """Return how many requests were answered right, wrong or not at all while the service was killed and restarted."""
    ort = import_onnxruntime()

    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    images = make_images(tuple(given.shape[1:]), size)
    expected = session.run(None, {given.name: images})[0].ravel()
    counts: Counter[str] = Counter({"right": 0, "wrong": 0, "refused": 0})
    is_over, lock = threading.Event(), threading.Lock()
    address: tuple[int, str] = (0, "")

    def work() -> None:
        client = None
        while not is_over.is_set():
            try:
                client = client or Client(*address, images)
                kind = _judge(client.ask(), expected)
            except OSError:
                _close(client)
                client, kind = None, "refused"
                time.sleep(0.02)
            with lock:
                counts[kind] += 1
        _close(client)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for i in range(rounds + 1):
        with serving(file, "--quiet", "--port", str(address[0]), "--workers", str(workers)) as served:
            address = (served.port, served.name)
            if not i:
                for thread in threads:
                    thread.start()
            before = counts["right"]
            time.sleep(2)
            counts[f"right in round {i + 1}"] = counts["right"] - before
            if i < rounds:
                served.process.kill()
            else:
                is_over.set()
                for thread in threads:
                    thread.join()
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return dict(counts)


def main() -> int:
    """Run what the arguments say and return an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="an ONNX file of `zoo export`")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of each measurement")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8, 64], help="images in a request")
    parser.add_argument("--clients", type=int, default=8, help="connections at full load")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    parser.add_argument("--out", type=Path, help="write the JSON to this file")
    parser.add_argument("--soak", type=float, metavar="SECONDS")
    parser.add_argument("--kill", type=int, metavar="ROUNDS")
    parser.add_argument("--bare", type=int, metavar="SIZE", help=argparse.SUPPRESS)
    parser.add_argument("--load", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--even", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    found: Any
    if asked.bare:
        found = bare(asked.file, asked.bare, asked.seconds)
    elif asked.load:
        port, name, size, clients, rate = asked.load
        ort = import_onnxruntime()

        shape = tuple(ort.InferenceSession(asked.file, providers=["CPUExecutionProvider"]).get_inputs()[0].shape[1:])
        numbers = (int(size), asked.seconds, int(clients), float(rate))
        found = load(int(port), name, shape, *numbers, is_even=asked.even)
    elif asked.soak:
        found = soak(asked.file, asked.soak, asked.sizes[-1], asked.clients, asked.workers)
    elif asked.kill:
        found = kill(asked.file, asked.kill, asked.sizes[0], asked.clients, asked.workers)
    else:
        found = compare(asked.file, asked.sizes, asked.seconds, asked.clients, asked.workers)
    text = json.dumps(found, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
