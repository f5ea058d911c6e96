from zoo import Entry
from zoo_results.comparison import Comparison as Comparison
from zoo_results.comparison import compare as compare
from zoo_results.listing import list_runs as list_runs
from zoo_results.reporting import write_report as write_report

def register_commands() -> list[Entry]: ...
