# shellcheck shell=bash
# The outage with Curfew on all three machines. Sourced by `run`.

# make_keys: the certificates of the cluster, once for all stories.
make_keys() {
    local keys=$LAB/keys
    [ -e "$keys/nfs/host.key" ] && return
    rm -rf "$keys"
    "$LAB/layer/usr/bin/curfew" pki init "$keys" --cluster home
    "$LAB/layer/usr/bin/curfew" pki issue --dir "$keys" nfs k8s-1 k8s-2
} >/dev/null

# equip [FOLDER_OF_CLIENTS]: fresh disks with Curfew; nobody runs upsmon.
equip() {
    local name
    make_keys
    mkdir -p "$STORY/clients" "$STORY/server/etc/systemd/system"
    ln -sf /dev/null "$STORY/server/etc/systemd/system/nut-monitor.service"
    for unit in nfs-server nut-server nut-driver-enumerator nut-monitor; do
        mkdir -p "$STORY/none/etc/systemd/system"
        ln -sf /dev/null "$STORY/none/etc/systemd/system/$unit.service"
    done
    echo "LINGER=$LINGER" >"$STORY/none/etc/lab-writer"
    for name in "${!NUMBER[@]}"; do
        mkdir -p "$STORY/$name.keys/etc/curfew/pki"
        cp "$LAB/keys/$name/"* "$STORY/$name.keys/etc/curfew/pki/"
    done
    WITH_CURFEW=yes
    image nfs "$GUEST/all" "$GUEST/server" "$GUEST/curfew" "$STORY/nfs.keys" "$STORY/server"
    for name in k8s-1 k8s-2; do
        image "$name" "$GUEST/all" "$GUEST/client" "$GUEST/curfew" "$STORY/$name.keys" \
            "$STORY/none" "$STORY/clients"
    done
    data_disk
}

# agent HOST PATH: what an agent says of itself by HTTP.
agent() { in_lan curl --silent --max-time 2 "http://$(address_of "$1"):9100$2"; }

is_ready() { in_lan curl --silent --fail --max-time 2 -o /dev/null "http://$(address_of "$1"):9100/readyz"; }

# discharge FROM: on battery, with a runtime that falls by one second in each, told every 5 s as
# a UPS would, until the upsd that is asked is gone or the mains are back.
discharge() {
    local from=$1 start=$EPOCHSECONDS left
    ups 'OB DISCHRG' "$from" 90
    rm -f "$STORY/mains"
    (
        while sleep 5 && [ ! -e "$STORY/mains" ]; do # the pace of a UPS
            left=$((from - EPOCHSECONDS + start))
            in_lan upsrw -s "battery.runtime=$((left > 0 ? left : 0))" -u lab -p lab \
                "eaton@$(address_of nfs)"
        done >/dev/null 2>&1
    ) &
}

mains() { touch "$STORY/mains"; ups OL 600 60; }

# What the server sees of its clients by Curfew's eyes, a line for each change.
watch_eyes() {
    local last='' now
    (
        while is_running nfs; do
            now=$(agent nfs /metrics | grep -E '^curfew_(phase|nfsd?_).*' | grep -v ' 0$' |
                tr '\n' ' ')
            if [ -n "$now" ] && [ "$now" != "$last" ]; then
                printf '%s %s\n' "$EPOCHREALTIME" "$now"
                last=$now
            fi
            sleep 0.5 # between two looks
        done >>"$STORY/eyes"
    ) &
}

is_held() { [ "$(ask nfs 'cat /run/curfew-hold/state' 2>/dev/null)" = held ]; }

# outage RUNTIME_S: from a whole cluster to the hold of the server.
outage() {
    all_on
    for name in nfs k8s-1 k8s-2; do
        await 60 is_ready "$name" || say "$name: /readyz fails: $(agent "$name" /readyz | head -3)"
    done
    watch_eyes
    watch_off "$PATIENCE"
    discharge "$1"
    await 600 said nfs "$DECLARED" || { say 'nothing was declared'; return 1; }
    DECLARED_AT=$(when nfs "$DECLARED")
    await "$PATIENCE" is_held || say 'the hold was not entered'
    say 'nfs: held'
}

# How the log says that a shutdown was declared.
DECLARED='shutdown declared|declared shutdown'

# stops: the times of a stop, from the declaration on.
stops() {
    local client
    for client in k8s-1 k8s-2; do
        figure "$client told to stop" "$(since "$DECLARED_AT" "$(when "$client" 'Stopping.*lab-writer')")"
        figure "$client unmounted" "$(since "$DECLARED_AT" "$(when "$client" 'Unmounted.*/mnt/media')")"
        figure "$client off" "$(since "$DECLARED_AT" "$(marked "$client: off")")"
    done
    figure 'kernel sees no client' "$(since "$DECLARED_AT" "$(last_of nfs 'lab: clients: nobody')")"
    figure 'server stops nfsd' "$(since "$DECLARED_AT" "$(when nfs 'Stopped.*NFS server and services')")"
    figure 'hold entered' "$(since "$DECLARED_AT" "$(marked 'nfs: held')")"
}

last_of() { grep -aE "$2" "$STORY/$1.console" | tail -1 | cut -d' ' -f1; }

inside() {
    ask nfs 'findmnt -rno TARGET,FSTYPE,OPTIONS -t ext4; cat /run/curfew-hold/report
        systemctl list-units --plain --no-legend --type=service --state=running | cut -d" " -f1
        ss -lnt | cut -c1-50' >"$STORY/inside" 2>&1 || true
}

# The battery's end under a held server.
story_hold-then-cut() {
    equip
    ask_copy=yes
    outage 330
    stops
    inside
    touch "$STORY/mains"
    cut_power nfs
    say 'nfs: power cut in the hold'
    judge
}

# The whole cycle: outage, hold, mains, reboot, wake, mounted again.
story_outage() {
    local back
    equip
    button &
    outage 330
    stops
    inside
    mains
    back=$EPOCHREALTIME
    await 300 said nfs 'lab: ready' 2 || say 'nfs has not booted again'
    for name in k8s-1 k8s-2; do
        await 400 said "$name" 'lab: ready' 2 || say "$name has not booted again"
    done
    figure 'nfs rebooted' "$(since "$back" "$(last_of nfs 'lab: ready')")"
    figure 'grace over' "$(since "$back" "$(last_of nfs 'grace')")"
    for name in k8s-1 k8s-2; do
        figure "$name packet" "$(since "$back" "$(marked "$name: magic packet")")"
        figure "$name mounted" "$(since "$back" "$(last_of "$name" 'Mounted.*/mnt/media')")"
    done
    for name in k8s-1 k8s-2 nfs; do cut_power "$name"; done
    judge
}
