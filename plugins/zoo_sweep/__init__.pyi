from zoo import Entry
from zoo_sweep.engine import GRACE as GRACE
from zoo_sweep.engine import LOG as LOG
from zoo_sweep.engine import Ended as Ended
from zoo_sweep.engine import Engine as Engine
from zoo_sweep.engine import EngineOptions as EngineOptions
from zoo_sweep.engine import Event as Event
from zoo_sweep.engine import Restarted as Restarted
from zoo_sweep.engine import TrialJob as TrialJob
from zoo_sweep.engine import open_log as open_log
from zoo_sweep.worker import carry_out as carry_out

def register_commands() -> list[Entry]: ...
