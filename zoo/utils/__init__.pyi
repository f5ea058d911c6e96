"""Utilities for files, signals, text and hardware, which any package and any plugin may use."""

from zoo.utils.allocator import keep_freed_memory as keep_freed_memory
from zoo.utils.channel import Channel as Channel
from zoo.utils.extras import missing_extra as missing_extra
from zoo.utils.files import check_writable as check_writable
from zoo.utils.files import write_file as write_file
from zoo.utils.hardware import accelerator_name as accelerator_name
from zoo.utils.hardware import enable_onednn as enable_onednn
from zoo.utils.hardware import processor_name as processor_name
from zoo.utils.hardware import processors_allowed as processors_allowed
from zoo.utils.hardware import usable_memory as usable_memory
from zoo.utils.lazy import attach as attach
from zoo.utils.matplotlib_import import import_matplotlib as import_matplotlib
from zoo.utils.processes import ChildProcess as ChildProcess
from zoo.utils.signals import HeldSignals as HeldSignals
from zoo.utils.signals import end_on_signals as end_on_signals
from zoo.utils.text import one_line as one_line
from zoo.utils.text import printable as printable
