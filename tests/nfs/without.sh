#!/bin/bash
# The same outage without Curfew, for comparison. Sourced by `run`.

# The workloads go on for so long after SIGTERM, as pods in their grace period do.
LINGER=${LINGER:-20}
# How long a machine is watched while it does not go off.
PATIENCE=${PATIENCE:-660}

# prepare [FOLDER]: fresh disks for all three machines; FOLDER/nfs and FOLDER/clients hold the
# configuration of NUT's upsmon. Without it nobody acts on what the UPS says.
prepare() {
    local client monitors=${1:-$STORY/unmonitored}
    if [ $# -eq 0 ]; then
        masked "$monitors/nfs" nut-monitor.service
        masked "$monitors/clients" nut-monitor.service
    fi
    image nfs "$GUEST/all" "$GUEST/server" "$(driver)" "$monitors/nfs"
    for client in k8s-1 k8s-2; do
        image "$client" "$GUEST/all" "$GUEST/client" "$(workload)" "$monitors/clients"
    done
    data_disk
}

# The folder with what makes a tree with all packages the server: the driver of this one UPS is
# named here, since it takes a slow machine half a minute to find that out by itself.
driver() {
    local folder="$STORY/driver" wants
    wants=$folder/etc/systemd/system/nut-driver.target.wants
    masked "$folder" nut-driver-enumerator.service nut-driver-enumerator.path
    mkdir -p "$wants"
    ln -sf '/lib/systemd/system/nut-driver@.service' "$wants/nut-driver@eaton.service"
    echo "$folder"
}

# The folder with what makes it a client.
workload() {
    local folder="$STORY/workload"
    masked "$folder" nfs-server.service nut-server.service nut-driver-enumerator.service
    echo "LINGER=$LINGER" >"$folder/etc/lab-writer"
    echo "$folder"
}

# start_all: the server, the clients as soon as it serves, until all of them write.
start_all() {
    start nfs
    await 300 said nfs 'Finished.*nfs-server.service' || return 1
    start k8s-1
    start k8s-2
    whole
}

all_off() { is_off nfs && is_off k8s-1 && is_off k8s-2; }

# finish_without START: waits for all machines, and says when each was where.
finish_without() {
    local name
    await "$PATIENCE" all_off || say "patience has ended after $PATIENCE s"
    for name in k8s-1 k8s-2; do
        figure "$name unmounted" "$(since "$1" "$(when "$name" 'Unmounted.*/mnt/media')")"
    done
    for name in k8s-1 k8s-2 nfs; do
        figure "$name off" "$(since "$1" "$(marked "$name: off")")"
    done
    figure 'nfsd stopped' "$(since "$1" "$(when nfs 'Stopped.*NFS server and services')")"
    lights_out
    judge
}

# NUT's own way: upsmon everywhere, its delays as shipped (HOSTSYNC 15, FINALDELAY 5).
story_nut() {
    local start
    monitor "$STORY/monitors/nfs" netserver primary
    monitor "$STORY/monitors/clients" netclient secondary
    prepare "$STORY/monitors"
    start_all
    watch_off "$PATIENCE"
    start=$EPOCHREALTIME
    ups 'OB DISCHRG LB' 120
    finish_without "$start"
}

# monitor FOLDER MODE ROLE: a configuration of upsmon.
monitor() {
    mkdir -p "$1/etc/nut"
    echo "MODE=$2" >"$1/etc/nut/nut.conf"
    cat >"$1/etc/nut/upsmon.conf" <<EOF
MONITOR eaton@$(address_of nfs) 1 $3 $3 $3
MINSUPPLIES 1
SHUTDOWNCMD "/sbin/shutdown -h +0"
POLLFREQ 5
POLLFREQALERT 5
HOSTSYNC 15
DEADTIME 15
POWERDOWNFLAG /etc/killpower
FINALDELAY 5
EOF
}

# The order that a person takes who knows: the clients, and the server when they are off.
story_clients-first() {
    local start
    prepare
    start_all
    watch_off "$PATIENCE"
    start=$EPOCHREALTIME
    power_off k8s-1 k8s-2
    await "$PATIENCE" is_off k8s-1 && await "$PATIENCE" is_off k8s-2
    power_off nfs
    finish_without "$start"
}

# The server first, in good order: nfsd has stopped when the clients are told.
story_server-stops-first() {
    local start
    prepare
    start_all
    watch_off "$PATIENCE"
    start=$EPOCHREALTIME
    power_off nfs
    await 60 said nfs 'Stopped.*NFS server and services'
    power_off k8s-1 k8s-2
    finish_without "$start"
}

# The server first, by losing its power.
story_server-dies-first() {
    local start
    prepare
    start_all
    watch_off "$PATIENCE"
    start=$EPOCHREALTIME
    cut_power nfs
    say 'nfs: power cut'
    power_off k8s-1 k8s-2
    finish_without "$start"
}

# power_off NAME...: as a person does.
power_off() {
    local name
    for name in "$@"; do
        say "$name: told to power off"
        # The connection may go before the answer.
        ask "$name" 'systemctl poweroff' >/dev/null 2>&1 &
    done
}

# The power ends under a server that is being written to, by its clients and by itself.
story_no-hold() {
    prepare
    start_all
    write_here
    lights_out
    judge
}

# Has the server itself write to both of its disks, and returns when it does.
write_here() {
    ask nfs 'systemd-run --quiet cp -r /usr/share /srv/media/copy
        systemd-run --quiet cp -r /usr/share /root/copy'
    await 60 asked nfs 'test -e /srv/media/copy -a -e /root/copy' || say 'nfs: does not write'
}
