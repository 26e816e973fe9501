"""Shards on a Dask cluster of several processes: the numbers of the plain loop, whatever becomes of the workers."""

import os
import platform
import signal
import threading

import pytest

from brian_snn import simulate
from brian_snn.errors import CompilerError, OutputError, SettingError, SimulationError
from brian_snn.running import executors as cluster
from tests.small_network import STEPS, differences, loop_result, small_images, small_network

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

N_IMAGES = 12


@pytest.fixture(scope="module")
def client(build_cache):
    # Workers are processes of their own; they find the build cache of the tests through the environment.
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images(N_IMAGES)


@pytest.fixture(scope="module")
def expected(network, images):
    return loop_result(network, images, reset="zero")


@pytest.mark.slow
def test_a_cluster_computes_what_the_loop_does(client, network, images, expected):
    seen = []
    result = simulate(
        network,
        images,
        steps=STEPS,
        reset="zero",
        executor=client.get_executor(),
        shard_size=5,
        progress=lambda done, total: seen.append(done),
    )
    assert differences(result, expected) == []
    assert sorted(seen) == seen and seen[-1] == N_IMAGES


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing_and_counts_nothing_twice(client, network, images, expected, tmp_path):
    victims = list(client.run(os.getpid).values())
    seen = []

    def kill(done, total):
        seen.append(done)
        if len(seen) == 2:
            os.kill(victims[0], signal.SIGKILL)

    result = simulate(
        network,
        images,
        steps=STEPS,
        reset="zero",
        executor=client.get_executor(),
        shard_size=1,
        progress=kill,
        output=tmp_path / "run",
    )
    assert differences(result, expected) == []
    assert seen == list(range(1, N_IMAGES + 1))
    assert victims[0] not in client.run(os.getpid).values()


@pytest.mark.campaign
def test_workers_that_die_while_they_compile_leave_it_to_those_that_come_instead(client, build_cache, network, images):
    """All of them: whoever waits for the lock goes with the one that holds it."""
    # Nobody else has built this.
    kept = {"record_spikes": ["average"], "record_potentials": ["mixed"]}
    workers = [*client.run(os.getpid).values()]
    known, stop, found = set(os.listdir(build_cache)), threading.Event(), []

    def kill_compiling():
        while not stop.wait(0.01):
            found.extend(name for name in set(os.listdir(build_cache)) - known if name.endswith(".partial"))
            if found:
                for worker in workers:
                    os.kill(worker, signal.SIGKILL)
                return

    watcher = threading.Thread(target=kill_compiling)
    watcher.start()
    try:
        result = simulate(
            network, images, steps=STEPS, reset="zero", executor=client.get_executor(), shard_size=2, **kept
        )
    finally:
        stop.set()
        watcher.join()
    assert found and not {*workers} & {*client.run(os.getpid).values()}
    assert differences(result, loop_result(network, images, reset="zero")) == []
    assert not [name for name in os.listdir(build_cache) if name.endswith(".partial")]


@pytest.mark.slow
def test_this_machine_has_no_compiler_and_no_program_to_send(client, network, images, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "of the client"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    result = simulate(network, images, steps=STEPS, reset="zero", executor=client.get_executor(), shard_size=6)
    assert differences(result, expected) == []
    assert not (tmp_path / "of the client").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "kind", "message"),
    [
        ("CXX", "no-such-g++", CompilerError, r"no C\+\+ compiler found \(looked for no-such-g\+\+\)"),
        ("BRIAN_SNN_CACHE", "/dev/null/cache", OutputError, "cannot build in /dev/null/cache"),
    ],
)
def test_a_worker_that_cannot_compile_says_who_it_is_and_what_it_lacks(
    client, network, images, tmp_path, variable, value, kind, message
):
    def set_variables(values):
        earlier = {name: os.environ.get(name, "") for name in values}
        os.environ.update(values)
        return earlier

    # In an empty cache, since another test may have compiled the same.
    earlier = client.run(set_variables, {"BRIAN_SNN_CACHE": str(tmp_path), variable: value})
    try:
        with pytest.raises(kind, match=f"^the worker on {platform.node()}: {message}"):
            simulate(network, images, steps=STEPS, reset="zero", executor=client.get_executor())
    finally:
        for worker, before in earlier.items():
            client.run(set_variables, before, workers=[worker])


@pytest.mark.slow
def test_workers_that_come_later_are_used(build_cache, network, images, expected, tmp_path, monkeypatch):
    run_shard = cluster._run_shard

    def note_worker(*arguments):
        (tmp_path / str(os.getpid())).touch()
        return run_shard(*arguments)

    monkeypatch.setattr(cluster, "_run_shard", note_worker)
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "host": "127.0.0.1"}
    # Without stealing a shard stays with the worker that was chosen for it. Few shards, as Dask itself spreads many.
    with (
        dask.config.set({"distributed.scheduler.work-stealing": False}),
        distributed.LocalCluster(n_workers=1, **options) as local,
        distributed.Client(local) as client,
    ):

        def grow(done, total):
            local.scale(3)
            client.wait_for_workers(3, timeout=200)

        result = simulate(
            network,
            images,
            steps=STEPS,
            reset="zero",
            executor=client.get_executor(),
            shard_size=2,
            progress=grow,
        )
        workers = client.run(os.getpid).values()
    assert differences(result, expected) == []
    assert {path.name for path in tmp_path.iterdir()} == {str(worker) for worker in workers}


@pytest.mark.slow
def test_shards_go_on_when_every_worker_was_lost(client, network, images, expected):
    """Those that come instead take the shards that were in flight, and the rest."""

    def kill_all(done, total):
        if done == 4:
            for worker in client.run(os.getpid).values():
                os.kill(worker, signal.SIGKILL)

    result = simulate(
        network,
        images,
        steps=STEPS,
        reset="zero",
        executor=client.get_executor(),
        shard_size=1,
        progress=kill_all,
    )
    assert differences(result, expected) == []


@pytest.mark.slow
def test_a_shard_that_fails_says_which(client, network, images, monkeypatch):
    def crash(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(cluster, "_run_shard", crash)
    with pytest.raises(SimulationError, match="images 0 to 11 failed on the executor: MemoryError: no room"):
        simulate(network, images, steps=STEPS, reset="zero", executor=client.get_executor(), shard_size=12)


@pytest.mark.slow
def test_workers_with_another_version_are_refused(client, network, images, monkeypatch):
    monkeypatch.setattr(cluster, "code_digest", lambda: "another")
    with pytest.raises(SimulationError, match="another version of brian_snn"):
        simulate(network, images, steps=STEPS, reset="zero", executor=client.get_executor())


@pytest.fixture
def empty_cluster(build_cache):
    """Return a cluster that has no workers."""
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1") as local:
        yield local


@pytest.mark.slow
@pytest.mark.parametrize("output", [None, "run"])
def test_a_cluster_without_workers_is_an_error_that_says_so(
    empty_cluster, network, images, output, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster, "_PATIENCE_S", 0.1)
    with distributed.Client(empty_cluster) as client, pytest.raises(SimulationError, match="no worker has joined"):
        simulate(
            network,
            images,
            steps=STEPS,
            reset="zero",
            executor=client.get_executor(),
            output=output and tmp_path / output,
        )


def test_a_closed_client_is_an_error_that_says_so(empty_cluster, network, images):
    client = distributed.Client(empty_cluster)
    client.close()
    with pytest.raises(SimulationError, match="client is not connected"):
        simulate(network, images, steps=STEPS, reset="zero", executor=client.get_executor())


@pytest.mark.slow
def test_a_client_that_is_closed_meanwhile_is_an_error_that_says_so(client, network, images):
    with distributed.Client(client.scheduler.address) as other, pytest.raises(SimulationError, match="not connected"):
        simulate(
            network,
            images,
            steps=STEPS,
            reset="zero",
            executor=other.get_executor(),
            shard_size=1,
            progress=lambda *_: other.close(),
        )


@pytest.mark.slow
@pytest.mark.parametrize("error", [OSError("my disk"), ValueError("my mistake")])
def test_only_what_the_client_raises_is_a_lost_connection(client, network, images, error, tmp_path):
    def fail(*_):
        raise error

    with pytest.raises(type(error)) as raised:
        simulate(
            network,
            images,
            steps=STEPS,
            reset="zero",
            executor=client.get_executor(),
            progress=fail,
            output=tmp_path / "run",
        )
    assert raised.value is error


@pytest.mark.slow
def test_an_error_in_what_is_made_of_the_numbers_is_no_lost_connection(client, network, images, monkeypatch):
    def fail(*_):
        raise OSError("ours")

    monkeypatch.setattr(cluster, "shard_result", fail)
    with pytest.raises(OSError, match="^ours$"):
        simulate(network, images, steps=STEPS, reset="zero", executor=client.get_executor())


def test_anything_but_an_executor_is_refused(network, images):
    with pytest.raises(SettingError, match="executor is 5; it must be a concurrent.futures.Executor"):
        simulate(network, images, executor=5)


def test_an_address_without_a_scheduler_is_an_error_that_names_it(monkeypatch):
    def refuse(address, **_):
        raise OSError("connection refused")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(SettingError, match=r"tcp://127\.0\.0\.1:9.*connection refused"):
        cluster.connect("tcp://127.0.0.1:9")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Put an sbatch that starts a job here, and an scancel that stops it, first on the path; return their folder."""
    commands = {
        # The script is gone when the job starts.
        "sbatch": 'setsid bash -c "$(cat "$1")" > "$0.$$.log" 2>&1 < /dev/null &\necho "Submitted batch job $!"\n',
        "scancel": 'kill -- "-$1"\n',
    }
    for name, script in commands.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_jobs_of_a_queue_compute_what_the_loop_does(slurm, network, images, expected):
    from dask_jobqueue import SLURMCluster

    options = {"queue": "normal", "cores": 2, "processes": 2, "memory": "4GB", "walltime": "00:10:00"}
    with (
        SLURMCluster(**options, interface="lo", scheduler_options={"dashboard_address": ":0"}) as jobs,
        distributed.Client(jobs) as client,
    ):
        jobs.scale(jobs=1)
        client.wait_for_workers(2, timeout=200)
        assert "#SBATCH -p normal" in jobs.job_script()
        result = simulate(network, images, steps=STEPS, reset="zero", executor=client.get_executor(), shard_size=3)
    assert differences(result, expected) == []
