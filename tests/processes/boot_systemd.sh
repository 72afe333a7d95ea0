#!/bin/sh
# Boots this computer's own systemd a second time: over a copy-on-write view of its disk, with its own
# processes, network and control groups. Nothing of it is left when its control group is ended.
#     boot_systemd.sh FOLDER GROUP CHECKOUT
# An empty folder to mount on; a new control group (version 2); what to keep although it may lie in /tmp.
set -eu
echo 0 >"$2/cgroup.procs"
exec unshare --mount --pid --fork --uts --ipc --cgroup --net sh -euc '
mount --make-rprivate /
mount -t tmpfs none "$1"
cd "$1"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=1777 none tmp
mount -t tmpfs -o mode=755 none dev
for name in null zero full random urandom tty; do cp -a "/dev/$name" dev/; done
case $2 in
/tmp/*)
    mkdir -p ".$2"
    mount --bind "$2" ".$2"
    mount -o remount,bind,ro ".$2"
    ;;
esac
mkdir -m 1777 dev/shm
mkdir dev/pts run/old
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up
# Only what the tests need; nothing that would turn a switch of the whole computer.
rm -rf etc/systemd/system/*.wants etc/fstab
for unit in systemd-sysctl.service systemd-modules-load.service systemd-udevd.service \
systemd-udev-trigger.service systemd-timesyncd.service systemd-remount-fs.service \
systemd-journal-flush.service dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount; do
    ln -sf /dev/null "etc/systemd/system/$unit"
done
echo "worker:x:1500:1500::/var/worker:/bin/sh" >>etc/passwd
echo "worker:x:1500:" >>etc/group
echo "worker:*:19000:0:99999:7:::" >>etc/shadow
mkdir -p var/worker
chown 1500:1500 var/worker
cat >etc/systemd/system/test.target <<end
[Unit]
Requires=dbus.socket dbus.service user@1500.service
After=dbus.service user@1500.service
end
pivot_root . run/old
umount -l run/old
export container=fallow
exec /lib/systemd/systemd --unit=test.target --show-status=0 --log-target=console
' sh "$1" "$3"
