"""A real Ray with two processors: the same answers, work that stops, replicas that die, and pictures in parts."""

from __future__ import annotations

import itertools
import os
import pickle
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from segdemo import NETWORKS, LocalEngine
from segdemo.__main__ import main
from segdemo.commands.journal import NAME
from segdemo.engine import Cancelled, Progress, Question
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.autopsy import PixelAutopsy
from segdemo.explain.compare import Compare
from segdemo.questions import Activation, Catalogue, ChannelScores, Drawing, Layers, LayerSummary, Run
from segdemo.service import RayEngine
from segdemo.service.cluster import Cluster, check_address
from segdemo.service.replica import CALLS
from segdemo.ui import build_app, launch
from segdemo.ui.texts import TEXTS
from tests.commands.conftest import kill_in_the_middle
from tests.service.questions import Dies, Steps, Waits, WhichProcess

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own are not ours to mend


def of_ray() -> list[psutil.Process]:
    """The processes of Ray that this one started."""
    children = psutil.Process().children(recursive=True)
    return [
        one for one in children if any(word in " ".join(one.cmdline()) for word in ("raylet", "gcs_server", "ray::"))
    ]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of this machine: two processors for replicas, two for actors; afterwards nothing of it is left."""
    folder = tempfile.mkdtemp(prefix="r")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))  # else Ray writes one into the home folder
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        ray.init(
            num_cpus=4, object_store_memory=200 << 20, include_dashboard=False, log_to_driver=False, _temp_dir=folder
        )
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in the replicas
        yield
        torch.set_num_threads(threads)
        ray.shutdown()
    _, left = psutil.wait_procs(of_ray(), 20)
    shutil.rmtree(folder, ignore_errors=True)
    assert not left


@pytest.fixture(scope="module")
def engine(cluster: None) -> Iterator[RayEngine]:
    engine = RayEngine(replicas=2, waiting=2)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def local() -> Iterator[LocalEngine]:
    engine = LocalEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def cat(engine: RayEngine, local: LocalEngine) -> str:
    """A small photograph that both engines keep, by its fingerprint."""
    with Image.open(example("chelsea")) as picture:
        small = picture.resize((90, 60))
    assert engine.keep(small) == local.keep(small)
    return local.keep(small)


def questions(cat: str) -> list[Question]:
    run = Run("deeplabv3_mobilenet_v2", cat, 257)
    return [
        run,
        Run("selfie", cat),
        Activation("unet", cat, "up1", 2, 128),
        LayerSummary("unet", cat, "up1", 128),
        ChannelScores("unet", cat, "up1", "point", (40, 30), 128),
        Layers("unet", 128, (90, 60)),
        Drawing("unet"),
        PixelAutopsy("unet", cat, (40, 30), 128),
        Compare(Run("unet", cat, 128), Run("unet_narrow", cat, 128)),
    ]


# Times; what is worked out later; and a matrix product, whose last bits numpy's own threads decide.
APART = ("seconds", "mask", "classes", "likeness")


def bits(answer: Any) -> Any:
    """What an answer is made of, down to the bits, times aside."""
    if isinstance(answer, np.ndarray):
        return answer.dtype, answer.shape, answer.tobytes()
    if isinstance(answer, Image.Image):
        return answer.size, answer.tobytes()
    if hasattr(answer, "__dict__"):
        named = {name: bits(value) for name, value in vars(answer).items() if name not in APART}
        return type(answer), named
    if isinstance(answer, dict) or hasattr(answer, "items"):
        return {name: bits(value) for name, value in answer.items()}
    return [bits(one) for one in answer] if isinstance(answer, list | tuple) else answer


def test_every_question_is_answered_alike_to_the_bit(engine: RayEngine, local: LocalEngine, cat: str) -> None:
    for question in questions(cat):
        there, here = engine.answer(question), local.answer(question)
        assert bits(there) == bits(here), question
        assert engine.answer(question) is there  # remembered
    assert engine.answer(Catalogue())[0] == local.answer(Catalogue())[0]
    result = engine.answer(questions(cat)[0])
    with pytest.raises(ValueError, match="read-only"):
        result.logits[0] = 0
    assert result.logits.base is None or not isinstance(result.logits.base, memoryview)


def test_refusals_are_the_same_with_code_and_values(engine: RayEngine, local: LocalEngine, cat: str) -> None:
    for question in (Run("nonsense", cat), Run("unet", "0" * 32, 128), Activation("unet", cat, "nowhere", None, 128)):
        with pytest.raises(InputError) as there:
            engine.answer(question)
        with pytest.raises(InputError) as here:
            local.answer(question)
        assert (str(there.value), there.value.code) == (str(here.value), here.value.code)


def test_questions_about_one_picture_go_to_one_replica(engine: RayEngine) -> None:
    found = [[engine.answer(WhichProcess("unet", name, 128, again=again)) for again in range(3)] for name in "abcdefgh"]
    # A replica that says too late how much it has to do is passed over, so not all need be alike; by chance 2 would be.
    assert sum(len(set(one)) == 1 for one in found) >= 6
    assert len({one[0] for one in found}) == 2  # and different pictures to both


def test_a_call_that_is_left_stops_before_the_next_step(engine: RayEngine, tmp_path: Path) -> None:
    events = engine.ask(Steps(str(tmp_path)))
    while next(events) != Progress(3, 478):
        pass
    events.close()
    assert isinstance(engine.answer(Layers("lenet", 32)), tuple)  # the replica is free again
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == [0, 1, 2, 3]


def test_a_call_that_is_not_wanted_any_more_stops(engine: RayEngine, tmp_path: Path) -> None:
    wanted = [True]
    events = engine.ask(Steps(str(tmp_path), "unet"), lambda: wanted[0])
    next(events)
    wanted[0] = False
    with pytest.raises(Cancelled):
        list(events)


def test_too_many_calls_are_refused_in_a_sentence_and_the_others_answered(engine: RayEngine, tmp_path: Path) -> None:
    asked: list[Iterator[Any]] = []
    with pytest.raises(InputError) as refused:
        for number in range(200):
            asked.append(engine.ask(Waits(str(tmp_path / "go"), number)))
            next(asked[-1])  # the call is made; whether it is refused turns out a moment later
            next(asked[-1])
            next(asked[-1])
    assert refused.value.code == "engine_busy"
    assert "wait already" in str(refused.value)
    (tmp_path / "go").touch()
    asked.pop()
    assert [list(events)[-1] for events in asked] == list(range(len(asked)))
    assert len(asked) >= 2 * CALLS  # each replica has its share before anybody is refused


@pytest.fixture(params=["local", "ray"])
def client(request: pytest.FixtureRequest, engine: RayEngine, local: LocalEngine) -> Iterator[Client]:
    """Somebody who asks a page on either engine."""
    page = build_app(local if request.param == "local" else engine)
    page.engine = LocalEngine({})  # ends with the page; the engines go on
    _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    client = Client(address, verbose=False)
    yield client
    client.close()
    page.close()


SAID: dict[str, Any] = {}


def test_the_page_says_the_same_on_both_engines(client: Client) -> None:
    picture = handle_file(str(example("chelsea")))
    said = [client.predict(picture, network, 0, api_name="/segment") for network in ("selfie", "lenet")]
    for one in said:
        assert one.pop("seconds") >= 0
    said += client.predict(picture, "unet", 0, api_name="/layers")
    assert said == SAID.setdefault("said", said)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of small pictures with masks, one picture of them broken, named as from the folder it is in."""
    archive = tmp_path / "archive"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6, 8, 3), np.uint8)
    for part in ("images", "masks"):
        (archive / part).mkdir(parents=True)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(archive / "images" / f"{number:02}.png")
        Image.fromarray(one[..., 0] // 128).save(archive / "masks" / f"{number:02}.png")
    (archive / "images" / "11.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)  # not where the cluster was started
    return archive


COMMANDS = {
    "layers": ("layers", "--over", "archive/images", "--network", "unet_narrow", "--side", "32", "--out", "out"),
    "evaluate": ("evaluate", "--data", "archive", "--network", "selfie", "--side", "256", "--json"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_the_cluster_says_and_writes_the_same(
    command: str, cluster: None, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for engine in ((), ("--engine", "auto")):
        assert main([*COMMANDS[command], "--report", "report.csv", *engine]) == 2
        report = (tmp_path / "report.csv").read_bytes()
        written = sorted(tmp_path.glob("out/*"))
        said.append((capsys.readouterr().out, report, {path.name: path.read_bytes() for path in written}))
        assert report.count(b"\n") == 21
        assert report.count(b"cannot be read") == 1
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert said[0] == said[1]
    assert len(said[0][2]) == {"layers": len(NETWORKS["unet_narrow"].stages), "evaluate": 0}[command]


def test_segment_on_the_cluster_says_and_writes_the_same_though_killed_in_the_middle(
    cluster: None,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import ray

    many = Path("pictures-" + "x" * 60)
    many.mkdir()
    for path, copy in itertools.product((pictures / "images").iterdir(), range(3)):
        (many / f"{path.stem}-{copy}.png").symlink_to(path)
    words = ["segment", str(many), "--network", "selfie", "--side", "256", "--out", "out", "--report", "report.csv"]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))

    def made() -> tuple[str, bytes, dict[str, bytes]]:
        assert main(words) == 2
        report = Path("report.csv").read_bytes()
        Path("report.csv").unlink()
        return capsys.readouterr().out, report, {path.name: path.read_bytes() for path in Path("out").iterdir()}

    plain = made()
    shutil.rmtree("out")
    words += ["--engine", ray.get_runtime_context().gcs_address]
    kill_in_the_middle(words, 5)
    assert Path("out", NAME).exists() and not Path("report.csv").exists()
    assert made() == plain
    assert len(plain[2]) == 3 * 3 * 19


def test_a_lost_replica_is_replaced_and_the_question_asked_once_more(engine: RayEngine, tmp_path: Path) -> None:
    assert engine.answer(Dies(str(tmp_path), 1)) == 1


class Fails:
    """Stands for the handle of replicas whose calls all fail in the same way."""

    def __init__(self, error: Exception) -> None:
        self.error, self.calls, self.cancelled = error, 0, 0

    @property
    def ask(self) -> Fails:
        return self

    def options(self, **_: Any) -> Fails:
        return self

    def remote(self, *_: Any) -> Fails:
        self.calls += 1
        return self

    def __iter__(self) -> Iterator[Any]:
        raise self.error

    def cancel(self) -> None:
        self.cancelled += 1
        raise self.error  # as Ray's does


@pytest.mark.parametrize(
    ("error", "code", "calls"),
    [(RayActorError(), "engine_lost", 2), (BackPressureError(7, 4), "engine_busy", 1)],
)
def test_calls_that_fail_end_in_a_sentence_in_both_languages(
    error: Exception, code: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = Fails(error)
    monkeypatch.setattr(Cluster, "at", lambda _: Cluster(None, joined=False))
    monkeypatch.setattr("segdemo.service.ray_engine.handle_of", lambda *_: handle)
    with pytest.raises(InputError) as said:
        RayEngine().answer(Catalogue())
    assert (said.value.code, handle.calls, handle.cancelled) == (code, calls, calls)
    chinese = TEXTS["zh"][f"error.{code}"].format(**said.value.values)
    assert ("7" in chinese) == ("7" in str(said.value)) == (code == "engine_busy")


def test_a_closed_engine_answers_nothing_and_leaves_a_cluster_that_others_use(cluster: None, engine: RayEngine) -> None:
    other = RayEngine()
    other.close()
    with pytest.raises(Cancelled):
        other.answer(Drawing("unet_narrow"))
    assert engine.answer(Drawing("unet_narrow"))


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("ray://head:10001", "engine_client"),
        ("head", "engine_address"),
        ("", "engine_address"),
        ("a:0", "engine_address"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused(address: str, code: str) -> None:
    with pytest.raises(InputError) as refused:
        check_address(address)
    assert refused.value.code == code
    assert pickle.loads(pickle.dumps(refused.value)).code == code


def test_nothing_of_ray_is_imported_without_an_engine() -> None:
    import subprocess
    import sys

    code = "import sys, segdemo.ui, segdemo.commands.segment, segdemo.commands.app; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
