"""The process that reads a weights file, for `read_weights`. What a file does to it, it does to nothing else.

Arguments: the file descriptor, how many bytes the arrays may have, how many bytes of memory and seconds of processor
time it may use.
"""

from __future__ import annotations

import mmap
import os
import sys

from zoo.transfer import limits


def main(descriptor: int, limit: int, memory: int, seconds: int) -> None:
    """Read the file and send what it contains to the parent."""
    limits.isolate()
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # loads no compression filters from other libraries
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # filters of system calls apply to this thread alone

    import encodings.cp437  # names in zip archives
    import encodings.raw_unicode_escape  # noqa: F401  # texts in pickles

    import msgspec

    from zoo.transfer.messages import ArrayHeader, Failure, Header
    from zoo.transfer.readers.contents import Budget, FileFault, MissingExtra, Source
    from zoo.transfer.readers.formats import reader_of
    from zoo.utils import Channel, one_line

    channel = Channel.to_parent()
    encode = msgspec.msgpack.encode
    failure = None
    with open(descriptor, "rb", closefd=False) as file:
        try:
            read = reader_of(os.pread(descriptor, 512, 0))
            source = Source(file=file, mapped=mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
            limits.lock(memory, seconds)
            contents = read(source, Budget(limit))
            if not contents.arrays:
                raise FileFault("contains no weights: it has no arrays of floating-point numbers.")
            header = Header(
                format=contents.format,
                layout=contents.layout,
                is_ordered=contents.is_ordered,
                arrays=[
                    ArrayHeader(name=each.name, layer=each.layer, role=each.role, shape=list(each.array.shape))
                    for each in contents.arrays
                ],
            )
            channel.send(encode(header))
        except MissingExtra as error:
            failure = Failure(fault=str(error), extra=error.extra)
        except FileFault as error:
            failure = Failure(fault=str(error))
        except MemoryError:
            failure = Failure(
                fault="needs more memory to read than a file of its size should. Download or save it again."
            )
        except Exception as error:  # a library's, about something in the file
            failure = Failure(fault=f"is damaged or incomplete: {one_line(error)}. Download or save it again.")
    if failure is not None:
        channel.send(encode(failure))
        channel.flush()
        return
    for each in contents.arrays:
        channel.send(each.array.astype("<f4", copy=False).tobytes())
        channel.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
