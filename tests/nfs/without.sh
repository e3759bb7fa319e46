# shellcheck shell=bash
# The same outage without Curfew, for comparison. Sourced by `run`.

# The workloads go on for so long after SIGTERM, as pods in their grace period do.
LINGER=${LINGER:-20}
# How long a machine is watched while it does not go off.
PATIENCE=${PATIENCE:-660}

# prepare [FOLDER_OF_SERVER [FOLDER_OF_CLIENTS]]: fresh disks for all three machines.
prepare() {
    local client none="$STORY/none" server=${1:-} clients=${2:-}
    mkdir -p "$none/etc/systemd/system"
    echo "LINGER=$LINGER" >"$none/etc/lab-writer"
    if [ -z "$server" ]; then
        # No upsmon: nobody acts on what the UPS says.
        mkdir -p "$STORY/server/etc/systemd/system"
        ln -sf /dev/null "$STORY/server/etc/systemd/system/nut-monitor.service"
    fi
    if [ -z "$clients" ]; then
        mkdir -p "$STORY/clients/etc/systemd/system"
        ln -sf /dev/null "$STORY/clients/etc/systemd/system/nut-monitor.service"
    fi
    for unit in nfs-server nut-server nut-driver-enumerator; do
        ln -sf /dev/null "$none/etc/systemd/system/$unit.service"
    done
    image nfs "$GUEST/all" "$GUEST/server" "${server:-$STORY/server}"
    for client in k8s-1 k8s-2; do
        image "$client" "$GUEST/all" "$GUEST/client" "$none" \
            "${clients:-$STORY/clients}"
    done
    data_disk
}

all_on() {
    start nfs
    await 300 said nfs 'Finished.*nfs-server.service'
    start k8s-1
    start k8s-2
    whole
}

# times START: when each machine went off, by the marks, and when each client had unmounted.
times() {
    local name
    for name in k8s-1 k8s-2; do
        figure "$name unmounted" "$(since "$1" "$(when "$name" 'Unmounted.*/mnt/media')")"
    done
    for name in k8s-1 k8s-2 nfs; do
        figure "$name off" "$(since "$1" "$(marked "$name: off")")"
    done
    figure 'server gone' "$(since "$1" "$(when nfs 'Stopped.*NFS server and services')")"
}

# NUT's own way: upsmon everywhere, its delays as shipped (HOSTSYNC 15, FINALDELAY 5).
story_nut() {
    local start
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
    monitor "$STORY/server" netserver primary
    monitor "$STORY/clients" netclient secondary
    prepare "$STORY/server" "$STORY/clients"
    all_on
    watch_off "$PATIENCE"
    ups 'OB DISCHRG LB' 120
    start=$EPOCHREALTIME
    await "$PATIENCE" all_off || say 'patience has ended'
    times "$start"
    end_all
    judge
}

# asked NAME TEST: whether a command succeeds inside a machine.
asked() { ask "$1" "$2 && echo yes" | grep -q yes; }

all_off() { is_off nfs && is_off k8s-1 && is_off k8s-2; }

# What has not gone off by now has its power cut: that is what the battery's end would do.
end_all() {
    local name
    for name in k8s-1 k8s-2 nfs; do
        if is_running "$name"; then
            figure "$name cut" "still on after $PATIENCE s"
            cut_power "$name"
        fi
    done
}

# server_first HOW: the server goes 2 s before the clients are told.
server_first() {
    local start
    prepare
    all_on
    watch_off "$PATIENCE"
    start=$EPOCHREALTIME
    "$@"
    say 'clients: told to power off'
    ask k8s-1 'systemctl poweroff' &
    ask k8s-2 'systemctl poweroff' &
    await "$PATIENCE" all_off || say 'patience has ended'
    times "$start"
    end_all
    judge
}

story_server-stops-first() {
    server_stops() {
        say 'nfs: told to power off'
        ask nfs 'systemctl poweroff'
        await 30 said nfs 'Stopped.*NFS server and services'
    }
    server_first server_stops
}

story_server-dies-first() {
    server_dies() { say 'nfs: power cut'; cut_power nfs; }
    server_first server_dies
}

# The clients first, by hand: the best that is possible.
story_clients-first() {
    local start
    prepare
    all_on
    watch_off "$PATIENCE"
    start=$EPOCHREALTIME
    say 'clients: told to power off'
    ask k8s-1 'systemctl poweroff' &
    ask k8s-2 'systemctl poweroff' &
    await "$PATIENCE" is_off k8s-1
    await "$PATIENCE" is_off k8s-2
    ask nfs 'systemctl poweroff'
    await "$PATIENCE" all_off || say 'patience has ended'
    times "$start"
    end_all
    judge
}

# The power ends under a server that is being written to, by its clients and by itself.
story_no-hold() {
    prepare
    all_on
    ask nfs 'systemd-run --quiet cp -r /usr/lib /srv/media/copy'
    await 60 asked nfs 'test -e /srv/media/copy'
    cut_power nfs
    say 'nfs: power cut while it serves'
    cut_power k8s-1
    cut_power k8s-2
    judge
}
