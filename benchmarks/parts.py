"""The parts of the benchmark; each measures one thing and makes one table."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks import batch, browser, channel_grid, passes, reasons
from benchmarks.alone import in_its_own_process
from benchmarks.live import live
from benchmarks.methods import COMPARED, METHODS, Case, bare
from benchmarks.report import Table
from benchmarks.serving import serving
from benchmarks.stopwatch import milliseconds, ratio, ratio_in_turns, take_turns
from segdemo.summaries import summarise

ROUNDS = 9
WHY_ROUNDS = 5
PROCESSES = 3  # fresh ones, for memory
PEERS = (
    "bare forward",
    "Segmenter.run",
    "plain hooks, every leaf cloned",
    "torchvision create_feature_extractor, stages",
)
TORCHLENS = "torchlens trace"
SIZE = "Working size 512 pixels (513 for DeepLabV3, whose sides are 8k + 1), one photograph"


def against_bare() -> Table:
    """(a) Every stage summarised, against the bare pass as it is and against the plain pass people run today."""
    table = Table(
        "(a) Looking at every stage, against the bare forward pass",
        f"{SIZE}, {ROUNDS} rounds; ratios are medians of those within a round. `every stage summarised` is the pass "
        "with all of its summaries; `Segmenter.run` goes from the picture to the result, its cache emptied before each "
        "call. "
        "Aim: at most 1.05 × the bare pass in the same memory format, channels last, and at most 0.85 × the plain one.",
        ("network", "method", "time", "against bare", "against plain"),
    )
    for network in COMPARED:
        case, plain = Case(network), "plain forward, default memory format"
        names = ("bare forward", "every stage summarised", "Segmenter.run", "Segmenter.run and its mask")
        calls = {plain: METHODS["bare forward"](Case(network, plain=True))}
        seconds = take_turns({**calls, **{name: METHODS[name](case) for name in names}}, ROUNDS)
        for name, taken in seconds.items():
            ratios = (ratio_in_turns(taken, seconds[base]) for base in ("bare forward", plain))
            table.rows.append((network, name, milliseconds(taken), *ratios))
    return table


def against_peers() -> Table:
    """(b) Segmenter.run against other ways of seeing the layers, in time and in peak memory."""
    table = Table(
        "(b) The same against other ways of seeing the layers",
        f"{SIZE}. Time: {ROUNDS} rounds in turns; torchlens, which replaces PyTorch's functions for the whole process, "
        "has a process of its own and 3 calls. Memory: peak during the first call above what was resident before it, "
        f"median of {PROCESSES} fresh processes (torchlens: 1), and how much more that is than the bare forward pass.",
        ("network", "method", "time", "against bare", "peak memory", "more than bare"),
    )
    for network in COMPARED:
        case, calls, troubles = Case(network), {}, {}
        for name in PEERS:
            try:
                calls[name] = METHODS[name](case)
            except Exception as trouble:  # a method that cannot see this network is a result too
                troubles[name] = f"does not work: {type(trouble).__name__}: {str(trouble).splitlines()[0]}"
        seconds = take_turns(calls, ROUNDS)
        memory = {name: [in_its_own_process(name, network)["megabytes"] for _ in range(PROCESSES)] for name in calls}
        alone = in_its_own_process(TORCHLENS, network, repeats=3)
        if "trouble" in alone:
            troubles[TORCHLENS] = f"does not work: {alone['trouble']}"
        else:
            seconds[TORCHLENS], memory[TORCHLENS] = alone["seconds"], [alone["megabytes"]]
        base, bare_memory = seconds[PEERS[0]], median(memory[PEERS[0]])
        for name in (*PEERS, TORCHLENS):
            if name in troubles:
                table.rows.append((network, name, troubles[name], "–", "–", "–"))
                continue
            peak = median(memory[name])
            more = "–" if name == PEERS[0] else f"{peak - bare_memory:+.0f} MB"
            row = (network, name, milliseconds(seconds[name]), ratio(seconds[name], base), f"{peak:.0f} MB", more)
            table.rows.append(row)
    return table


def channel_grids() -> Table:
    """(c) A grid of 64 channels against matplotlib subplots."""
    case = Case("deeplabv3_mobilenet_v2")
    values = channel_grid.activation(case)
    summary = summarise(values)
    size = " × ".join(map(str, values.shape[1:]))
    table = Table(
        "(c) A grid of 64 channels as a PNG, against matplotlib subplots",
        f"An activation of {size} in memory, {ROUNDS} rounds. The page draws grids from the summary that the pass "
        "left. Aim: 50 times faster.",
        ("method", "time", "matplotlib takes"),
    )
    methods: dict[str, Callable[[], object]] = {
        "64 subplots, savefig": lambda: channel_grid.subplots(values),
        "segdemo, from the summary": lambda: channel_grid.from_summary(summary),
        "segdemo, from the activation, statistics included": lambda: channel_grid.from_activation(values),
    }
    seconds = take_turns(methods, ROUNDS)
    for name, times in seconds.items():
        table.rows.append((name, milliseconds(times), ratio(seconds["64 subplots, savefig"], times)))
    return table


def clicks() -> Table:
    """(d) From a click on a stage to its painted channels."""
    table = Table(
        "(d) Click on a stage to painted channels",
        "Headless Chromium and the app on the same machine; every outer stage of the figure, 3 rounds after one that "
        "does not count. From the browser's time of the click to the second frame after the grid is drawn. "
        "Aim: under 120 ms.",
        ("network", "clicks", "time"),
    )
    for network, seconds in browser.stage_changes(["deeplabv3_mobilenet_v2", "u2netp", "unet"], rounds=3).items():
        table.rows.append((network, str(len(seconds)), milliseconds(seconds)))
    return table


def memory_formats() -> Table:
    """(e) The bare forward pass with channels last."""
    table = Table(
        "(e) Bare forward pass, channels last against the default",
        f"{SIZE}, {ROUNDS} rounds.",
        ("network", "memory format", "time", "against the default"),
    )
    for network in COMPARED:
        default, last = Case(network, plain=True), Case(network)
        seconds = take_turns({"default": bare(default), "channels last": bare(last)}, ROUNDS)
        for name, times in seconds.items():
            table.rows.append((network, name, milliseconds(times), ratio(times, seconds["default"])))
    return table


def starts() -> Table:
    """(f) From `python app.py` to the first byte, and to a painted example, against the imports nobody can avoid."""
    repeats, imports = 5, "import torch, gradio"
    table = Table(
        "(f) Start",
        f"From starting `python app.py` until then; {repeats} starts, each with an empty browser profile. Chromium is "
        f"running already and asks for the page at the first byte. Beside it, in turns, `{imports}` alone. "
        "Aim: first byte at most 1.15 × that.",
        ("until", "time", f"against `{imports}`"),
    )
    seconds: dict[str, list[float]] = {}
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", imports], check=True)
        seconds.setdefault(f"`{imports}`", []).append(time.perf_counter() - started)
        for moment, taken in browser.starts(1).items():
            seconds.setdefault(moment, []).extend(taken)
    for moment, taken in seconds.items():
        table.rows.append((moment, milliseconds(taken), ratio_in_turns(taken, seconds[f"`{imports}`"])))
    return table


def pointer() -> Table:
    """(g) From a move of the pointer to the frame with all crosshairs painted."""
    table = Table(
        "(g) Pointer move to crosshairs in every map",
        "Headless Chromium and the app on the same machine; over the segmentation, with every tile and thumbnail in "
        "reach. From the handling of the move to the end of its frame; the server is asked nothing. Aim: under 16 ms.",
        ("network", "moves", "time"),
    )
    for network, seconds in browser.pointer_moves(["deeplabv3_mobilenet_v2", "u2netp", "unet"], count=100).items():
        table.rows.append((network, str(len(seconds)), milliseconds(seconds)))
    return table


def why() -> Table:
    """(h) What the tools of the tab Why cost."""
    table = Table(
        "(h) Why: autopsy, evidence, read-outs and moves of the mixer",
        f"{SIZE}, {WHY_ROUNDS} rounds; every call asks about another pixel or another factor. What was kept of the "
        "layers before a change is there from the first move on. From the question to the answer, its maps included; "
        "`to painted` is from the slider's input event in headless Chromium to the frame with the new mask, and what "
        "of that the partial pass did not take. Aims: an autopsy of DeepLabV3 at most 1.5 forward and backward passes; "
        "a move the partial pass and 150 ms to painted.",
        ("network", "method", "time", "bare pass", "against it"),
    )
    for network in ("deeplabv3_mobilenet_v2", "u2netp"):
        calls = reasons.methods(Case(network), network)
        seconds = take_turns({name: call for name, (_, call) in calls.items()}, WHY_ROUNDS, warm_up=1)
        for name, taken in seconds.items():
            base = calls[name][0]
            table.rows.append((network, name, milliseconds(taken), base, ratio_in_turns(taken, seconds[base])))
        moves = browser.mixer_moves(network, reasons.places(network), WHY_ROUNDS)
        for place, pairs in moves.items():
            painted, beyond = [whole for whole, _ in pairs], [whole - passed for whole, passed in pairs]
            name, base = f"mixer: a move at {place}", reasons.FORWARD
            row = (network, f"{name}, to painted", milliseconds(painted), base, ratio(painted, seconds[base]))
            table.rows.append(row)
            table.rows.append((network, f"{name}, to painted beyond the partial pass", milliseconds(beyond), "–", "–"))
    return table


def many_pictures() -> Table:
    """(j) What the command takes for a picture of 12 megapixels, beside the bare pass, and over Ray."""
    table = Table(
        "(j) Pictures by the million: photographs of 12 megapixels, against the bare forward pass",
        "JPEG files of 4000 × 3000 pixels; time for one picture, of four in a row, 3 rounds in turns. The bare pass "
        "has its batches ready and uses all processors, so that whatever is read and written beside it takes of its "
        "time: to decode one of the files takes one thread {decode}. The last rows are of --no-overlay over "
        f"{batch.CLUSTER} pictures, from the first quarter on. Aim: at least 0.9 of the bare rate.",
        ("network", "method", "time a picture", "rate against bare"),
    )
    with tempfile.TemporaryDirectory() as folder:
        pictures, out = Path(folder, "pictures"), Path(folder, "out")
        for one in (pictures, out):
            one.mkdir()
        paths = batch.photographs(pictures, 4)
        table.note = table.note.format(decode=f"{1000 * batch.reading_alone(paths):.0f} ms")
        for network, size in (("selfie", None), ("unet", None), ("deeplabv3_mobilenet_v2", None), ("u2netp", 512)):
            calls = batch.methods(network, size, paths, out)
            seconds = take_turns(calls, 3, warm_up=1)
            for name, taken in seconds.items():
                each = milliseconds([one / len(paths) for one in taken])
                rate = ratio_in_turns(seconds[batch.BARE], taken)
                table.rows.append((f"{network}, {size or 'its own size'}", name, each, rate))
        network, many = "deeplabv3_mobilenet_v2", paths * (batch.CLUSTER // len(paths))
        plain = batch.each_later_picture(network, many, out, None)
        with batch.cluster():
            spread = batch.each_later_picture(network, many, out, "auto")
        for name, each_takes in (("in this process", plain), ("--engine auto", spread)):
            rate = f"{plain / each_takes:.2f} × in this process"
            table.rows.append((network, name, f"{1000 * each_takes:.0f} ms", rate))
    return table


def passes_at_once() -> Table:
    """(p) Two passes at once against one, each with its share of the threads."""
    table = Table(
        "(p) Two passes at once against one at a time",
        f"Each visitor asks for {passes.RUNS} runs one after the other, at the network's own size, {ROUNDS} rounds; "
        "nothing is remembered. Below 1 ×, two at once are faster.",
        ("visitors", "passes", "time", "against one at a time"),
    )
    for pair in passes.PAIRS:
        for networks in (pair, pair[:1]):
            seconds = take_turns(passes.methods(networks), ROUNDS)
            for name, taken in seconds.items():
                against = ratio_in_turns(taken, seconds["1 at once"])
                table.rows.append((", ".join(networks), name, milliseconds(taken), against))
    return table


PARTS: dict[str, Callable[[], Table]] = {
    "a": against_bare,
    "b": against_peers,
    "c": channel_grids,
    "d": clicks,
    "e": memory_formats,
    "f": starts,
    "g": pointer,
    "h": why,
    "i": serving,
    "j": many_pictures,
    "k": live,
    "p": passes_at_once,
}
