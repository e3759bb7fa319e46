#!/bin/bash
# What is left when the machines are off: the state of the disks, and whether what the workloads
# were told to be safe is there. Sourced by `run`.

# figure NAME VALUE: one result of the story.
figure() { printf '%s\t%s\n' "$1" "$2" >>"$STORY/figures"; }

# since START TIME: seconds with one decimal, or a dash.
since() {
    if [ -z "${2:-}" ]; then echo -; else
        awk -v from="$1" -v to="$2" 'BEGIN { printf "%.1f\n", to - from }'
    fi
}

# marked PATTERN: the time of the first mark of the story that matches.
marked() { grep -E -m1 "$1" "$STORY/marks" | cut -d' ' -f1; }

# disk IMAGE: one line on the state of a file system that nobody has mounted, read only.
disk() {
    local features problems
    features=$(dumpe2fs -h "$1" 2>/dev/null)
    if grep -q needs_recovery <<<"$features"; then
        printf 'journal to be replayed'
    else
        printf 'journal empty'
    fi
    if problems=$(e2fsck -f -n "$1" 2>/dev/null); then
        echo ', e2fsck -n: clean'
    else
        problems=$(grep -cE '\? no$|^Free .* wrong|differences' <<<"$problems")
        echo ", e2fsck -n: $problems problems"
    fi
}

# written CLIENT: judges what a workload was told against the server's disk, in one line.
written() {
    local client=$1 copy="$STORY/data.copy" told closed durable cached
    told=$(grep -aoE 'lab: wrote [0-9]+' "$STORY/$client.console" | tail -1 | grep -oE '[0-9]+')
    closed=$(grep -aoE 'lab: closed [0-9]+' "$STORY/$client.console" | tail -1 | grep -oE '[0-9]+')
    durable=$(debugfs -R "cat /durable-$client" "$copy" 2>/dev/null | tail -1)
    cached=$(debugfs -R "stat /cached-$client" "$copy" 2>/dev/null |
        grep -oE -m1 'Size: [0-9]+' | head -1 | grep -oE '[0-9]+')
    printf 'fsynced %s of %s lines on disk' "${durable:-0}" "${told:-0}"
    if [ -n "$closed" ]; then
        printf ', closed file: %s of %s KiB' $((${cached:-0} / 1024)) $((closed / 1024))
    else
        printf ', never closed, %s of %s KiB' $((${cached:-0} / 1024)) $((${told:-0} * 64))
    fi
    if ((${durable:-0} < ${told:-0} || ${cached:-0} < ${closed:-$((${told:-0} * 65536))})); then
        echo ': LOST'
    else
        echo ': nothing lost'
    fi
}

# judge: the disks and the data, into the figures. What a journal holds counts as on the disk.
judge() {
    local client
    figure 'data disk' "$(disk "$STORY/data.img")"
    figure 'root of nfs' "$(disk "$STORY/nfs.img")"
    cp --sparse=always "$STORY/data.img" "$STORY/data.copy"
    e2fsck -f -y "$STORY/data.copy" >/dev/null 2>&1 || true
    for client in k8s-1 k8s-2; do figure "data of $client" "$(written "$client")"; done
    rm "$STORY/data.copy"
}
