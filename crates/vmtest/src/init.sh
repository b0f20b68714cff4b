#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of the guest. It sets the guest up and then runs, one after the other, the
# scripts that the host asks for over a virtio-serial port. Its folder lies on the host and holds
#   fstab     what to mount          root/     what to copy over the root file system
#   env       the environment        share/    free for the scripts and the host
#   N.sh, N.out, N.err               command N and what it printed
# Programs are few here: each costs a tenth of a second or more under emulation.
# Requests: "run N". Answers: "ready", "done N STATUS".

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
here=${0%/*}

# The host looks for this word on the console.
fail() {
    echo "rota-vm: cannot $*"
    echo o >/proc/sysrq-trigger
    sleep 60
}

mount -t proc proc /proc || fail "mount /proc"
# Some of these may be missing from a kernel; the check below tells whether enough is there.
mount -a -T "$here/fstab"
here=/run/rota
[ -d $here/share ] || fail "mount the shared folder"
mount -o remount,bind,ro / || fail "make the host's files read-only"

cp -dR $here/root/. / || fail "fill /dev and /boot"
echo rota-vm >/proc/sys/kernel/hostname
if command -v ip >/dev/null; then
    ip link set lo up
elif command -v ifconfig >/dev/null; then
    ifconfig lo up
else
    echo "rota-vm: neither ip nor ifconfig is there, so the loopback network stays down"
fi

port=
tries=0
while [ -z "$port" ]; do
    for folder in /sys/class/virtio-ports/*; do
        name=
        [ ! -r "$folder/name" ] || read -r name <"$folder/name"
        [ "$name" != rota.ctl ] || port=/dev/${folder##*/}
    done
    tries=$((tries + 1))
    [ $tries -le 100 ] || fail "find the control port"
    [ -n "$port" ] || sleep 0.1
done
exec 3<>"$port" || fail "open the control port"

. $here/env
cd "$ROTA_VM_CWD" || cd /
echo ready >&3
while read -r verb number <&3; do
    [ "$verb" = run ] || continue
    sh "$here/$number.sh" </dev/null >"$here/$number.out" 2>"$here/$number.err" 3<&-
    echo "done $number $?" >&3
done
fail "reach the host"
