# SPDX-License-Identifier: BSD-2-Clause
"""A systemd of one's own on a host of the lab, for stories about our units.

It is the first process of namespaces of its own, and its root is this machine's with a layer on top
that takes whatever is written (overlayfs, in memory): nothing that it, or a unit, does can reach
the files below. Of the units of this machine none is started but what a story names.

    machine = Machine(lab)
    machine("systemctl", "start", "floodwalld")
"""
import shutil
import subprocess

from host import BUILD, ROOT, LabError, wait_until

# The first process is systemd when this is through. /proc/sys is the machine's: it is read-only.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs memory /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc && mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mkdir -p sys/fs/cgroup && mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf
mount --rbind /dev dev
mount -t tmpfs run run -o mode=755 && mount -t tmpfs tmp tmp -o mode=1777
mkdir -p old && rm -rf etc/systemd/system/* lib/systemd/system-generators usr/lib/systemd/system-generators
cp -a "$1/." .
pivot_root . old
umount -l old
export container=lab
exec /lib/systemd/systemd --unit=lab.target --log-target=console
"""
TARGET = """
[Unit]
DefaultDependencies=no
"""


class Machine:
    """@files: what is written over the machine's own, by path."""

    def __init__(self, lab, files):
        self.lab, tree = lab, lab.home / "tree"
        subprocess.run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={tree}", "PREFIX=/usr"], check=True,
                       capture_output=True)
        masked = {f"etc/systemd/system/{name}": "/dev/null" for name in (
            "systemd-tmpfiles-setup.service", "systemd-sysctl.service", "systemd-modules-load.service",
            "systemd-udevd.service", "systemd-udev-trigger.service", "systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-clean.timer", "systemd-random-seed.service", "dbus.socket")}
        for path, text in {"etc/systemd/system/lab.target": TARGET, **files}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        for path, to in masked.items():
            (tree / path).symlink_to(to)
        self.process = lab.edge.start("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc",
                                      "--cgroup", "sh", "-c", BOOT, "boot", tree, name="systemd")
        wait_until(lambda: self._is_up() or not self.process.running(), "systemd is up", seconds=30)
        if not self.process.running():
            raise LabError("systemd does not start here: " + self.log())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Ends all that runs there; the folders of its cgroups are empty then."""
        self.process.kill()
        wait_until(lambda: "populated 0" in (self.lab.edge.cgroup / "cgroup.events").read_text(), "all have ended")
        for folder in sorted(self.lab.edge.cgroup.glob("**/"), reverse=True):
            if folder != self.lab.edge.cgroup:
                folder.rmdir()

    def log(self):
        return self.process.out.read_text(errors="replace") + self.process.err.read_text(errors="replace")

    def journal(self, *options):
        return self("journalctl", "--no-pager", "--identifier=floodwalld", "--identifier=floodwall", "--lines=30",
                    *options, check=False).stdout

    def _pid(self):
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return done.stdout.split()[0] if done.stdout else None

    def _is_up(self):
        return self._pid() and self("systemctl", "is-system-running", check=False).stdout.strip() in (
            "running", "degraded")

    def command(self, *words):
        return ["nsenter", "--target", self._pid(), "--all", "--", *map(str, words)]

    def __call__(self, *words, check=True, seconds=60):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=seconds, check=False)
        if check and done.returncode:
            raise LabError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}\n{self.journal()}")
        return done

    def show(self, unit, name):
        return self("systemctl", "show", unit, "--value", "-p", name).stdout.strip()
