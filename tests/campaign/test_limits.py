"""The limits hold, and what became of a call is told apart."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brian_snn.errors import ModelError
from tests.campaign.limits import Limits, run_limited


def test_what_a_call_returns_comes_back():
    assert run_limited(divmod, 7, 3).unwrap() == (2, 1)


def test_what_a_call_raises_comes_back():
    def refuse():
        raise ModelError("layer 'x': no")

    with pytest.raises(ModelError, match="layer 'x': no"):
        run_limited(refuse).unwrap()


def test_what_cannot_be_sent_comes_back_in_words():
    outcome = run_limited(lambda: lambda: None)
    assert outcome.kind == "returned" and "lambda" in outcome.value


def test_memory_is_what_a_call_may_take_beyond_what_is_there():
    def take(n_bytes):
        return len(bytearray(n_bytes))

    assert run_limited(take, 2**26, limits=Limits(2**28)).unwrap() == 2**26
    outcome = run_limited(take, 2**29, limits=Limits(2**28))
    assert outcome.kind == "raised" and isinstance(outcome.value, MemoryError)


def test_a_call_that_never_ends_is_ended_with_all_that_it_started(tmp_path):
    def hang():
        child = subprocess.Popen(["sleep", "1000"])
        (tmp_path / "pid").write_text(str(child.pid))
        time.sleep(1000)

    assert run_limited(hang, limits=Limits(wall_s=3)).kind == "too slow"
    status = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    for _ in range(100):
        # Dead; whether init has collected it yet is init's affair.
        if not status.exists() or status.read_text().split()[2] in "ZX":
            return
        time.sleep(0.1)
    raise AssertionError("what it started goes on")


def test_a_call_that_works_for_ever_is_ended():
    def work():
        while True:
            pass

    assert run_limited(work, limits=Limits(cpu_s=1)).value == "SIGXCPU"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_is_told_by_its_signal(number):
    def crash():
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    outcome = run_limited(crash)
    assert (outcome.kind, outcome.value) == ("killed", signal.Signals(number).name)


def test_leaving_without_a_word_is_no_return():
    assert run_limited(os._exit, 0).kind == "killed"


def test_a_file_may_grow_to_its_limit_and_a_program_has_the_limits_too(tmp_path):
    def write(n_bytes):
        (tmp_path / "file").write_bytes(bytes(n_bytes))

    limits = Limits(file_bytes=1000)
    assert run_limited(write, 1000, limits=limits).kind == "returned"
    with pytest.raises(OSError, match="File too large"):
        run_limited(write, 1001, limits=limits).unwrap()
    code = f"with open({str(tmp_path / 'other')!r}, 'wb') as file: file.write(bytes(1001))"
    done = subprocess.run([sys.executable, "-c", code], preexec_fn=limits.apply, capture_output=True, text=True)
    assert "File too large" in done.stderr


def test_handles_are_limited():
    def open_many():
        return [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]

    with pytest.raises(OSError, match="Too many open files"):
        run_limited(open_many, limits=Limits(n_files=50)).unwrap()
