"""A cache folder that others can fill is not used, nor is a build that others made; a new one is this user's alone."""

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.backends import build_cache
from brian_snn.backends.build_cache import get_build
from brian_snn.backends.trust import TRUST
from brian_snn.errors import OutputError, SettingError
from tests.simulation_cases import LAYOUT, tiny

#: A user who is neither root nor the one who runs the tests.
SOMEBODY = 54321


@pytest.fixture
def made(monkeypatch, tiny_build):
    """Return the list of builds that are made, which are copies of that one."""

    def make(_, partial, *__):
        shutil.copytree(tiny_build, partial, dirs_exist_ok=True)
        made.append(partial)

    made = []
    monkeypatch.setattr(build_cache, "_build", make)
    return made


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the cache folder, which is not there yet."""
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "new" / "cache"))
    monkeypatch.delenv(TRUST, raising=False)
    return tmp_path / "new" / "cache"


@pytest.fixture
def filled(cache, tiny_build):
    """Return the cache folder with the build in it."""
    cache.mkdir(0o755, parents=True)
    cache.chmod(0o755)
    shutil.copytree(tiny_build, cache / tiny_build.name)
    return cache


def give_to(uid, monkeypatch, *paths):
    """Let files and folders belong to somebody."""
    status_of = Path.stat

    def status(self, **options):
        found = status_of(self, **options)
        return os.stat_result((*found[:4], uid, *found[5:])) if self in paths else found

    monkeypatch.setattr(Path, "stat", status)


def mode(path):
    """Return the permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077])
def test_a_new_cache_and_all_in_it_is_this_users_alone(cache, made, umask):
    earlier = os.umask(umask)
    try:
        folder = get_build(LAYOUT).folder
    finally:
        os.umask(earlier)
    assert {mode(cache), mode(cache.parent), mode(folder)} == {0o700}
    assert not get_build(LAYOUT).is_new


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0, 0o022])
def test_a_build_is_read_by_those_who_read_the_cache_and_written_by_nobody(cache, umask):
    cache.mkdir(parents=True)
    cache.chmod(0o755)
    earlier = os.umask(umask)
    try:
        folder = get_build(LAYOUT).folder
    finally:
        os.umask(earlier)
    modes = {mode(path) for path in (folder, *folder.rglob("*"))}
    assert mode(folder) == 0o755 and all(m & 0o022 == 0 and m & 0o044 == 0o044 for m in modes)
    assert not get_build(LAYOUT).is_new


@pytest.mark.slow
@pytest.mark.parametrize(
    ("permissions", "who"), [(0o777, "everybody"), (0o1777, "everybody"), (0o702, "everybody"), (0o770, "its group")]
)
def test_a_cache_that_others_can_write_is_refused(filled, made, monkeypatch, permissions, who):
    filled.chmod(permissions)
    with pytest.raises(
        OutputError, match=rf"^{filled} can be written by {who}: .*Run `chmod go-w {filled}`.*{TRUST}=1"
    ):
        simulate(tiny(), np.ones((1, 1)), steps=4)
    assert made == [] and list(filled.glob("*.lock")) == []
    monkeypatch.setenv(TRUST, "1")
    assert simulate(tiny(), np.ones((1, 1)), steps=4).charge["out"].item() == 1.0
    monkeypatch.setenv(TRUST, "0")
    filled.chmod(0o755)
    assert simulate(tiny(), np.ones((1, 1)), steps=4).charge["out"].item() == 1.0
    assert made == []


@pytest.mark.slow
def test_a_cache_of_somebody_is_refused(filled, made, monkeypatch):
    give_to(SOMEBODY, monkeypatch, filled)
    with pytest.raises(OutputError, match=rf"belongs to user {SOMEBODY}, not to you or root: .* Set BRIAN_SNN_CACHE"):
        get_build(LAYOUT)
    monkeypatch.setenv(TRUST, "1")
    assert not get_build(LAYOUT).is_new


@pytest.mark.slow
def test_a_cache_that_is_a_link_is_that_to_which_it_leads(filled, monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to(filled)
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "link"))
    assert not get_build(LAYOUT).is_new
    filled.chmod(0o777)
    with pytest.raises(OutputError, match="can be written by everybody"):
        get_build(LAYOUT)


@pytest.mark.slow
def test_a_cache_of_root_serves_those_who_can_only_read_it(filled, made, tiny_build, monkeypatch):
    give_to(0, monkeypatch, filled, *filled.rglob("*"))
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    # Nobody can open a folder for writing, not even root.
    (filled / f"{tiny_build.name}.lock").mkdir()
    assert not get_build(LAYOUT).is_new and made == []


PARTS = (".", "main", "manifest.json", "static_arrays", "static_arrays/*")


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("how", ["given away", "open"])
def test_a_build_that_others_could_have_made_is_made_again(filled, tiny_build, made, monkeypatch, part, how):
    folder = filled / tiny_build.name
    (folder / "static_arrays" / "x").touch()
    # The first of the files of connectivity that there are.
    path = next(folder.glob(part)) if "*" in part else folder / part
    with monkeypatch.context() as patch:
        if how == "open":
            path.chmod(0o777)
        else:
            give_to(SOMEBODY, patch, path)
        patch.setenv(TRUST, "1")
        assert not get_build(LAYOUT).is_new
        patch.delenv(TRUST)
        # Nobody can open a folder for writing, not even root.
        (filled / f"{tiny_build.name}.lock").unlink()
        (filled / f"{tiny_build.name}.lock").mkdir()
        with pytest.raises(OutputError, match=f"the build there is not run, as {path} "):
            get_build(LAYOUT)
        (filled / f"{tiny_build.name}.lock").rmdir()
        assert get_build(LAYOUT).is_new
    assert len(made) == 1 and not get_build(LAYOUT).is_new


@pytest.mark.slow
def test_a_build_that_cannot_be_deleted_is_moved_aside(filled, tiny_build, made, monkeypatch):
    """As one in a folder of somebody else's cannot."""
    os.truncate(filled / tiny_build.name / "main", 10)
    monkeypatch.setattr(build_cache.shutil, "rmtree", lambda *_, **__: None)
    assert get_build(LAYOUT).is_new
    assert not get_build(LAYOUT).is_new and len(made) == 1


def test_the_setting_is_a_number_that_says_yes_or_no(cache, monkeypatch):
    monkeypatch.setenv(TRUST, "please")
    with pytest.raises(SettingError, match=f"{TRUST} is 'please'; it must be 1"):
        get_build(LAYOUT)
