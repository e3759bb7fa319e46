#!/bin/bash
# The laboratory: machines (User-Mode Linux) on a bridge in a network namespace of its own, the
# switch of the mains, the power button, and the times of what happened. Sourced by `run`.
#
# $LAB is the folder of what `build` made, $STORY that of the story that is played.

GUEST=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/guest
export GUEST
NET=10.79.0
PREFIX=${CURFEW_NFS_PREFIX:-nfs}
declare -A NUMBER=([k8s-1]=11 [k8s-2]=12 [nfs]=13)

address_of() { echo "$NET.${NUMBER[$1]}"; }
mac_of() { echo "52:54:00:79:00:${NUMBER[$1]}"; }
in_lan() { nsenter --net="/run/netns/$PREFIX-lan" "$@"; }

# Says a line with its time, into the story's record and to the person.
say() { printf '%s %s\n' "$EPOCHREALTIME" "$*" | tee -a "$STORY/marks" >&2; }

# await LIMIT_S COMMAND...: looks ten times a second until COMMAND succeeds.
await() {
    local until=$((EPOCHSECONDS + $1))
    shift
    until "$@"; do
        if ((EPOCHSECONDS >= until)); then return 1; fi
        sleep 0.1 # between two looks
    done
}

lan_up() {
    lan_down
    ip netns add "$PREFIX-lan"
    ip -n "$PREFIX-lan" link set lo up
    ip -n "$PREFIX-lan" link add br0 type bridge
    ip -n "$PREFIX-lan" addr add "$NET.1/24" broadcast + dev br0
    ip -n "$PREFIX-lan" link set br0 up
}

lan_down() {
    local name
    for name in "${!NUMBER[@]}"; do cut_power "$name"; done
    [ -e "/run/netns/$PREFIX-lan" ] || return 0
    ip netns pids "$PREFIX-lan" | xargs --no-run-if-empty kill 2>/dev/null || true
    ip netns del "$PREFIX-lan"
}

# image NAME FOLDER...: makes the disks of a machine from the tree, the layer with Curfew if
# WITH_CURFEW is set, and the files of the folders, later ones first.
image() {
    local name=$1 files="$STORY/$1.files" lower="$LAB/tree"
    shift
    rm -rf "$files"
    mkdir -p "$files/etc/network" "$STORY/mount"
    for folder in "$@"; do cp -dr "$folder/." "$files/"; done
    enable_units "$files"
    echo "$name" >"$files/etc/hostname"
    printf '%032x\n' "${NUMBER[$name]}" >"$files/etc/machine-id"
    cat >"$files/etc/network/interfaces" <<EOF
auto lo vec0
iface lo inet loopback
iface vec0 inet static
    address $(address_of "$name")/24
    gateway $NET.1
EOF
    chown -R root:root "$files"
    if [ -n "${WITH_CURFEW:-}" ]; then
        lower="$LAB/layer:$lower"
        keep_owners "$files" "$LAB/layer" "$LAB/tree"
        # The agent reads its file and its keys by its group.
        chgrp -R --reference="$LAB/layer/etc/curfew" "$files/etc/curfew"
        chmod -R g+rX,o= "$files/etc/curfew"
    else
        keep_owners "$files" "$LAB/tree"
    fi
    mount -t overlay overlay "$STORY/mount" -o "lowerdir=$files:$lower"
    rm -f "$STORY/$name.img"
    truncate -s 1G "$STORY/$name.img"
    mkfs.ext4 -q -F -d "$STORY/mount" "$STORY/$name.img"
    umount "$STORY/mount"
}

# enable_units FILES: starts the laboratory's own units at boot, as their [Install] says.
enable_units() {
    local unit wanted
    for unit in "$1"/etc/systemd/system/lab-*; do
        wanted=$(sed -n 's/^WantedBy=//p' "$unit")
        [ -n "$wanted" ] || continue
        mkdir -p "$1/etc/systemd/system/$wanted.wants"
        ln -sf "../${unit##*/}" "$1/etc/systemd/system/$wanted.wants/"
    done
}

# masked FOLDER UNIT...: makes a folder of files with which these units are not started.
masked() {
    local folder=$1 unit
    shift
    mkdir -p "$folder/etc/systemd/system"
    for unit in "$@"; do ln -sf /dev/null "$folder/etc/systemd/system/$unit"; done
}

# keep_owners FILES TREE...: what is there in a tree already keeps its owner and its mode.
keep_owners() {
    local files=$1 path tree
    shift
    (cd "$files" && find . -mindepth 1) | while IFS= read -r path; do
        for tree in "$@"; do
            if [ -e "$tree/$path" ]; then
                chown --reference="$tree/$path" "$files/$path"
                chmod --reference="$tree/$path" "$files/$path"
                break
            fi
        done
    done
}

# data_disk: the server's second disk, with nothing but its file system.
data_disk() {
    rm -f "$STORY/data.img"
    truncate -s 256M "$STORY/data.img"
    mkfs.ext4 -q -F -E root_owner=0:0 "$STORY/data.img"
}

# The lines of a console with their times; the network card repeats itself.
stamp() {
    while IFS= read -r line; do
        case $line in *'Incoming GSO frames'*) continue ;; esac
        printf '%s %s\n' "$EPOCHREALTIME" "$line"
    done
}

# start NAME: presses the power button.
start() {
    local name=$1 disks
    is_running "$name" && return
    disks="ubd0=$STORY/$name.img"
    if [ "$name" = nfs ]; then disks+=" ubd1=$STORY/data.img"; fi
    if ! in_lan ip link show "$PREFIX-$name" >/dev/null 2>&1; then
        in_lan ip tuntap add "$PREFIX-$name" mode tap
        in_lan ip link set "$PREFIX-$name" master br0 up
    fi
    mkdir -p "$STORY/umid"
    # shellcheck disable=SC2086 # words of the kernel's command line
    HOME=$STORY TMPDIR=/dev/shm setsid nsenter --net="/run/netns/$PREFIX-lan" \
        env LD_PRELOAD="$LAB/xstate.so" "$LAB/linux" mem=256M umid="$PREFIX-$name" \
        uml_dir="$STORY/umid" $disks root=/dev/ubda ro \
        "vec0:transport=tap,ifname=$PREFIX-$name,mac=$(mac_of "$name")" \
        con=null con0=null,fd:1 ssl=null panic=1 loglevel=5 TERM=dumb ${APPEND:-} \
        </dev/null > >(stamp >>"$STORY/$name.console") 2>&1 &
    echo $! >"$STORY/$name.pid"
    disown # its end is no news to the shell
    say "$name: power on"
}

is_running() { [ -e "$STORY/$1.pid" ] && kill -0 "$(cat "$STORY/$1.pid")" 2>/dev/null; }
is_off() { ! is_running "$1"; }

# cut_power NAME: takes the power away from under it (the kernel and its helper processes, which are
# one session that `start` made).
cut_power() {
    local pid
    [ -e "${STORY:-}/$1.pid" ] || return 0
    pid=$(cat "$STORY/$1.pid")
    # shellcheck disable=SC2046 # one word for each process
    if is_running "$1"; then kill -9 $(ps -o pid= -s "$pid") 2>/dev/null || true; fi
    await 10 is_off "$1"
}

# ask NAME COMMAND: runs a shell command inside a machine.
ask() {
    in_lan socat -t "${ASK_LIMIT:-30}" - \
        "TCP:$(address_of "$1"):7000,connect-timeout=3,retry=40,interval=0.25" <<<"$2"
}

# asked NAME TEST: whether a test succeeds inside a machine.
asked() { ask "$1" "$2 && echo yes" 2>/dev/null | grep -q yes; }

# said NAME PATTERN [TIMES]: whether the console of a machine has said it so often.
said() {
    local count
    count=$(grep -acE "$2" "$STORY/$1.console" 2>/dev/null)
    ((${count:-0} >= ${3:-1}))
}

# when NAME PATTERN: the time of the first line of a console that matches; nothing if none does.
when() { grep -aE -m1 "$2" "$STORY/$1.console" 2>/dev/null | cut -d' ' -f1; }

# last_said NAME PATTERN: the time of the last one.
last_said() { grep -aE "$2" "$STORY/$1.console" 2>/dev/null | tail -1 | cut -d' ' -f1; }

# ups STATUS [RUNTIME [CHARGE]]: what the UPS says from now on.
ups() {
    local upsd login=(-u lab -p lab)
    upsd=eaton@$(address_of nfs)
    await 30 in_lan upsc "$upsd" ups.status 2>&1 || return 1
    if [ -n "${3:-}" ]; then in_lan upsrw -s "battery.charge=$3" "${login[@]}" "$upsd"; fi
    if [ -n "${2:-}" ]; then in_lan upsrw -s "battery.runtime=$2" "${login[@]}" "$upsd"; fi
    in_lan upsrw -s "ups.status=$1" "${login[@]}" "$upsd"
    say "ups: $1${2:+, $2 s left}"
} >/dev/null

# Waits until all machines have booted and each client's workload has written.
whole() {
    local name
    for name in nfs k8s-1 k8s-2; do
        await 300 said "$name" 'lab: ready' || { say "$name: has not booted"; return 1; }
    done
    for name in k8s-1 k8s-2; do
        await 120 said "$name" 'lab: wrote 4' || { say "$name: does not write"; return 1; }
    done
    say 'all: up, mounted and writing'
}

# lights_out: what is still on loses its power, as at the end of the battery.
lights_out() {
    local name
    touch "$STORY/mains" # nobody counts the runtime down any more
    for name in nfs k8s-1 k8s-2; do
        if is_running "$name"; then
            say "$name: power cut"
            cut_power "$name"
        fi
    done
}

# watch_off: records in the background when each machine goes off.
watch_off() {
    local name
    for name in k8s-1 k8s-2 nfs; do
        (await "${1:-900}" is_off "$name" && say "$name: off") &
    done
}

# button: presses the power button of each machine whose magic packet is on the network, until the
# laboratory ends. A machine that is on does not heed it.
button() {
    local first second third fourth fifth sixth name
    in_lan socat -u UDP-RECVFROM:9,fork,reuseaddr SYSTEM:'od -An -v -tx1 -j6 -N6' |
        while read -r first second third fourth fifth sixth; do
            for name in "${!NUMBER[@]}"; do
                [ "$first:$second:$third:$fourth:$fifth:$sixth" = "$(mac_of "$name")" ] || continue
                say "$name: magic packet"
                start "$name"
            done
        done
}
