"""``zoo serve``."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click

from zoo.cli.toolkit import complete_pretrained, traceback_option
from zoo.errors import SettingError
from zoo.utils import missing_extra
from zoo_serve.limits import Limits

_DEFAULT = Limits()
_MIB = 1 << 20


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN, which no comparison excludes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number in a text."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number. Pass one from {self.min:g} to {self.max:g}.", param, ctx)
        return number


@click.command(short_help="Serve a model over HTTP, with a page.")
@click.argument("run", metavar="RUN|FILE", shell_complete=complete_pretrained)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 for any that is free.",
)
@click.option(
    "--api-key-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Answer only requests with one of the keys in this file, one a line. Required unless the address is loopback.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    help="Also answer to this name in the Host header, for example behind a proxy. May be repeated. Beyond loopback, "
    "every name is accepted unless this is given; IP addresses and /v2/health/ always are.",
)
@click.option("--name", metavar="NAME", help="Name of the model in paths.  [default: the name of its recipe]")
@click.option("--keras", "use_keras", is_flag=True, help="Use the Keras model even if the run has an ONNX file.")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Number of processes that answer requests, each with its share of the CPUs and a copy of the model.",
)
@click.option(
    "--max-batch",
    metavar="IMAGES",
    type=click.IntRange(1, 4096),
    default=_DEFAULT.max_batch,
    show_default=True,
    help="Maximum number of images computed together.",
)
@click.option(
    "--max-wait",
    metavar="MS",
    type=FiniteRange(0, 1000),
    default=1000 * _DEFAULT.max_wait,
    show_default=True,
    help="Milliseconds to wait for more images to compute together; 0 to compute what is waiting.",
)
@click.option(
    "--max-images",
    metavar="IMAGES",
    type=click.IntRange(1, 65536),
    default=_DEFAULT.max_images,
    show_default=True,
    help="Maximum number of images in a request; more are answered with 413.",
)
@click.option(
    "--max-body",
    metavar="MIB",
    type=click.IntRange(1, 1024),
    default=_DEFAULT.max_body // _MIB,
    show_default=True,
    help="Maximum size of a request in MiB; larger ones are answered with 413.",
)
@click.option(
    "--queue",
    metavar="IMAGES",
    type=click.IntRange(1, 1 << 20),
    default=_DEFAULT.queue,
    show_default=True,
    help="Maximum number of images waiting; when there are more, requests are answered with 503 at once.",
)
@click.option(
    "--max-connections",
    metavar="N",
    type=click.IntRange(1, 65536),
    default=_DEFAULT.connections,
    show_default=True,
    help="Maximum number of open connections; more are refused with 503.",
)
@click.option(
    "--read-timeout",
    metavar="SECONDS",
    type=FiniteRange(0.1, 3600),
    default=_DEFAULT.read_timeout,
    show_default=True,
    help="Time in which a request must arrive; slower ones are answered with 408.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=FiniteRange(0.1, 3600),
    default=_DEFAULT.timeout,
    show_default=True,
    help="Time in which a request is answered; otherwise the answer is 504.",
)
@click.option("--quiet", is_flag=True, help="Hide the line for each request.")
@traceback_option
@click.pass_obj
def serve(session: Any, /, run: str, **options: Any) -> None:
    """Serve a model over HTTP: a page for people, and the Open Inference Protocol (KServe v2) for programs.

    RUN is a run folder, or the name of a recipe that ships with trained weights. If the run has an ONNX file that is
    not 8-bit (`zoo export RUN`) and ONNX Runtime is installed, that file is served, else the Keras model. It is looked
    for in exports/ in the run folder or, for a recipe, in the current folder. FILE is an exported file.

    The page is at /. POST /predict takes image files and preprocesses them like `zoo predict`. POST
    /v2/models/NAME/infer takes arrays of pixels. GET /metrics is for Prometheus.

    On loopback (127.0.0.1, localhost, ::1), only programs on this machine can send requests, and no key is needed. Any
    other address needs --api-key-file: requests then send `Authorization: Bearer KEY` or `X-API-Key: KEY`. The page
    itself and /v2/health/ stay open. The service has no TLS; put a proxy with TLS before it.

    The first Ctrl-C or SIGTERM stops the service once the requests under way are answered, with exit status 0. The
    second one ends it at once.

    \b
    Examples:
      zoo serve fashion-cnn
      zoo serve runs/first --port 0
      zoo serve runs/first/exports/fashion-cnn.onnx --host 0.0.0.0 --api-key-file keys.txt
      curl -F image=@shirt.jpg "http://127.0.0.1:8000/predict?top=1"
    """
    limits = Limits(
        max_batch=options["max_batch"],
        max_wait=options["max_wait"] / 1000,
        max_body=options["max_body"] * _MIB,
        max_images=options["max_images"],
        queue=options["queue"],
        connections=options["max_connections"],
        read_timeout=options["read_timeout"],
        timeout=options["timeout"],
    )
    if limits.queue < limits.max_images:
        raise SettingError(
            "--queue must be at least --max-images, or large requests would never be taken. "
            f"Received: --queue {limits.queue} --max-images {limits.max_images}",
            name="queue",
            value=limits.queue,
        )
    for variable in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        os.environ.pop(variable, None)  # of other programs; prometheus_client reads it when it is imported
    try:
        from zoo_serve.main import check_address, run_service
        from zoo_serve.server import bind
        from zoo_serve.worker_messages import Job
        from zoo_serve.workers import Workers
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("zoo", "zoo_serve"):
            raise
        raise missing_extra("`zoo serve`", "serve", str(error)) from error
    with bind(options["host"], options["port"]) as listener:  # report a wrong call before the model is loaded
        guard = check_address(listener, options["host"], options["allowed_hosts"], options["api_key_file"])
        if options["workers"] > 1:
            workers = options["workers"]
            job = Job(
                source=run,
                plugin_files=[str(file) for file in session.plugin_files],
                name=options["name"],
                use_keras=options["use_keras"],
                is_quiet=options["quiet"],
                guard=guard,
                limits=limits,
                service=os.getpid(),
                threads=max(1, len(os.sched_getaffinity(0)) // workers),
            )
            Workers(job, workers, listener).serve()
            return
        run_service(
            run,
            session.registry,
            listener,
            guard,
            limits,
            name=options["name"],
            use_keras=options["use_keras"],
            is_quiet=options["quiet"],
        )
