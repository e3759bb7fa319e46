#!/bin/bash
# The outage with Curfew on all three machines. Sourced by `run`.

# How the agent's log says that a shutdown was declared.
DECLARED='shutdown declared'

# make_keys: the certificates of the cluster, once for all stories.
make_keys() {
    local keys=$LAB/keys curfew=$LAB/layer/usr/bin/curfew
    [ -e "$keys/k8s-2/host.key" ] && return
    rm -rf "$keys"
    "$curfew" pki init "$keys" --cluster home
    "$curfew" pki issue --dir "$keys" nfs k8s-1 k8s-2
} >/dev/null

# equip: fresh disks with Curfew for all three machines; nobody runs upsmon. $STORY/extra/NAME may
# hold more files for a machine.
equip() {
    local name
    make_keys
    for name in "${!NUMBER[@]}"; do
        mkdir -p "$STORY/keys/$name/etc/curfew/pki" "$STORY/extra/$name"
        cp "$LAB/keys/$name/"* "$STORY/keys/$name/etc/curfew/pki/"
    done
    masked "$STORY/unmonitored" nut-monitor.service
    export WITH_CURFEW=yes
    image nfs "$GUEST/all" "$GUEST/server" "$(driver)" "$STORY/unmonitored" \
        "$GUEST/curfew" "$STORY/keys/nfs" "$STORY/extra/nfs"
    for name in k8s-1 k8s-2; do
        image "$name" "$GUEST/all" "$GUEST/client" "$(workload)" "$STORY/unmonitored" \
            "$GUEST/curfew" "$STORY/keys/$name" "$STORY/extra/$name"
    done
    data_disk
}

# agent NAME PATH: what an agent says of itself by HTTP.
agent() { in_lan curl --silent --max-time 2 "http://$(address_of "$1"):9100$2"; }

is_ready() {
    in_lan curl --silent --fail --max-time 2 --output /dev/null \
        "http://$(address_of "$1"):9100/readyz"
}

# discharge FROM: on battery, with a runtime that falls by one second in each, told every 5 s as
# a UPS does, until `mains`.
discharge() {
    local from=$1 start=$EPOCHSECONDS left
    rm -f "$STORY/mains"
    ups 'OB DISCHRG' "$from" 90
    (
        while sleep 5 && [ ! -e "$STORY/mains" ]; do # the pace of the UPS
            left=$((from - EPOCHSECONDS + start))
            in_lan upsrw -s "battery.runtime=$((left > 0 ? left : 0))" -u lab -p lab \
                "eaton@$(address_of nfs)"
        done >/dev/null 2>&1
    ) &
}

mains() {
    touch "$STORY/mains"
    ups OL 600 60
}

# watch_eyes: a line in `eyes` whenever what the server's agent sees of its clients changes.
watch_eyes() {
    local last='' now
    (
        while is_running nfs; do
            now=$(agent nfs /metrics | grep -E '^curfew_(phase|nfs_client|nfs_grace)' |
                grep -vE 'renewal| 0$' | sort | tr '\n' ' ')
            if [ -n "$now" ] && [ "$now" != "$last" ]; then
                printf '%s %s\n' "$EPOCHREALTIME" "$now"
                last=$now
            fi
            sleep 0.5 # between two looks
        done >>"$STORY/eyes"
    ) &
}

# start_with: all three machines, until each agent says that it could carry out the plan.
start_with() {
    local name
    start_all || return 1
    for name in nfs k8s-1 k8s-2; do
        await 90 is_ready "$name" || say "$name: not ready: $(agent "$name" /readyz | head -c 300)"
    done
    for name in nfs k8s-1 k8s-2; do agent "$name" /health >"$STORY/health.$name"; done
    watch_eyes
    watch_off "$PATIENCE"
}

# to_hold RUNTIME_S: from mains to the hold of the server; the times are counted from the
# declaration on.
to_hold() {
    discharge "$1"
    await 600 said nfs "$DECLARED" || { say 'nothing was declared'; return 1; }
    say 'nfs: has declared'
    await "$PATIENCE" said nfs 'enter-hold.*: held after' || say 'nfs: not in the hold'
    say 'nfs: held'
    stop_times "$(when nfs "$DECLARED")"
    ask nfs 'findmnt -rno TARGET,FSTYPE,OPTIONS -t ext4; cat /run/curfew-hold/report
        journalctl --no-pager --unit=curfew-hold --output=cat
        systemctl list-units --plain --no-legend --type=service --state=running
        ss -lnt; upsc eaton' >"$STORY/inside" 2>&1 || true
    agent nfs /health >"$STORY/health.held" || true
}

# stop_times START
stop_times() {
    local client
    for client in k8s-1 k8s-2; do
        figure "$client begins" "$(since "$1" "$(when "$client" 'Stopping.*lab-writer')")"
        figure "$client unmounted" "$(since "$1" "$(when "$client" 'Unmounted.*/mnt/media')")"
        figure "$client off" "$(since "$1" "$(marked "$client: off")")"
    done
    figure 'last change of clients' "$(since "$1" "$(last_said nfs 'lab: clients:')"), \
$(grep -a 'lab: clients:' "$STORY/nfs.console" | tail -1 | sed 's/.*lab: clients: //')"
    figure 'owner begins' "$(since "$1" "$(when nfs '"event":"began"')")"
    figure 'nfsd stopped' "$(since "$1" "$(when nfs 'enter-hold.*: stop the services:')")"
    figure 'hold entered' "$(since "$1" "$(when nfs 'enter-hold.*: held after')")"
}

# The battery's end under a held server, which was written to by itself as well.
story_hold-then-cut() {
    equip
    start_with
    write_here
    to_hold 300
    touch "$STORY/mains"
    lights_out
    judge
}

# The whole cycle: outage, hold, mains, reboot, packets, mounted again.
story_outage() {
    equip
    start_with
    button &
    to_hold 300
    # Nothing changes on the disks of a held machine: they are judged while it is on.
    judge
    mains
    come_back "$EPOCHREALTIME"
    lights_out
}

# come_back START: from the return of the mains until both clients write again.
come_back() {
    local name
    await 300 said nfs 'Finished.*nfs-server.service' 2 || say 'nfs: has not booted again'
    figure 'nfs rebooted' "$(since "$1" "$(last_said nfs 'Finished.*nfs-server.service')")"
    for name in k8s-1 k8s-2; do
        await 400 said "$name" 'lab: ready' 2 || say "$name: has not booted again"
        figure "$name first packet" "$(since "$1" "$(marked "$name: magic packet")")"
        figure "$name mounted" "$(since "$1" "$(last_said "$name" 'Mounted.*/mnt/media')")"
    done
    await 30 agent nfs /health >"$STORY/health.after"
}

# A client loses its power before the shutdown is declared: the kernel goes on listing it.
story_client-dies() {
    equip
    start_with
    cut_power k8s-2
    say 'k8s-2: power cut'
    to_hold 300
    lights_out
    judge
}

# A client that never comes to its end: its workload does not stop, and nothing kills it.
story_client-hangs() {
    local unit=etc/systemd/system/lab-writer.service.d
    mkdir -p "$STORY/extra/k8s-2/$unit"
    printf '[Service]\nTimeoutStopSec=infinity\nEnvironment=LINGER=7200\nEnvironmentFile=\n' \
        >"$STORY/extra/k8s-2/$unit/hangs.conf"
    equip
    start_with
    to_hold 300
    lights_out
    judge
}

# One client of NFSv4 and one of NFSv3, which the kernel does not list.
story_v3() {
    mkdir -p "$STORY/extra/k8s-2/etc"
    sed 's/_netdev/_netdev,vers=3/' "$GUEST/client/etc/fstab" >"$STORY/extra/k8s-2/etc/fstab"
    equip
    start_with
    to_hold 300
    lights_out
    judge
}

# The server's cable is pulled and put in again: its clients' mounts hang, the folder of k8s-1's text
# files with them, and their agents answer all the same.
story_server-hangs() {
    local name folder=$STORY/extra/k8s-1/var/lib/prometheus
    mkdir -p "$folder"
    ln -s /mnt/media "$folder/node-exporter"
    equip
    start_with
    ask nfs 'echo "backup_age_seconds 5" >/srv/media/backup.prom'
    await 30 shows k8s-1 '^backup_age_seconds 5' || say 'k8s-1: does not show the text file'
    for name in k8s-1 k8s-2; do figure "$name answers in" "$(slowest "$name")"; done
    in_lan ip link set "$PREFIX-nfs" down
    say 'nfs: cable out'
    await 60 shows k8s-1 '^node_scrape_collector_success{collector="textfile"} 0' ||
        say 'k8s-1: its text folder does not hang'
    for name in k8s-1 k8s-2; do
        figure "$name threads" "$(threads "$name")"
        figure "$name answers, its mounts hung, in" "$(slowest "$name")"
        figure "$name threads, later" "$(threads "$name")"
        agent "$name" /health >"$STORY/health.$name.hung"
    done
    in_lan ip link set "$PREFIX-nfs" up
    say 'nfs: cable in'
    await 120 shows k8s-1 '^backup_age_seconds 5' || say 'k8s-1: hangs still'
    for name in k8s-1 k8s-2; do figure "$name answers again in" "$(slowest "$name")"; done
    lights_out
}

# shows NAME PATTERN: whether the page of metrics of a machine has a line like that.
shows() { agent "$1" /metrics | grep -qE "$2"; }

# slowest NAME: seconds that the slowest of 20 answers took, for each thing that can be looked at.
slowest() {
    local path
    for path in /metrics /health /readyz /livez /api/v1/status; do
        printf '%s ' "$path"
        for _ in {1..20}; do
            in_lan curl --silent --max-time 10 --output /dev/null --write-out '%{time_total}\n' \
                "http://$(address_of "$1"):9100$path"
        done | sort -n | tail -1
    done | tr '\n' ' '
}

# threads NAME: how many the agent of a machine has.
# shellcheck disable=SC2016 # for the shell of the machine
threads() { ask "$1" 'ls /proc/$(pidof curfew)/task | wc -l'; }
