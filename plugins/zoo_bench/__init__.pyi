from zoo import Entry
from zoo_bench.benchmarking import benchmark as benchmark
from zoo_bench.records import Latency as Latency
from zoo_bench.records import Machine as Machine
from zoo_bench.records import Report as Report
from zoo_bench.records import Result as Result

def register_commands() -> list[Entry]: ...
