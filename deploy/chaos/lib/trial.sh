# shellcheck shell=bash
# What all scripts of a trial share. Sourced by them; does nothing by itself.
#
# CHAOS_IN     containers (Docker) or processes (network namespaces)
# CHAOS_DIR    everything of the trial: disks, control files, the history; default /tmp/apus-chaos
# CHAOS_NAME   of namespaces and containers; default apus-chaos
# CHAOS_NODES  how many nodes; default 3
# APUS_BIN     processes: where announced, apus, apus-load, apus-probe and outside-world are; default
#              .build/release

CHAOS_IN=${CHAOS_IN:-processes}
CHAOS_DIR=${CHAOS_DIR:-/tmp/apus-chaos}
CHAOS_NAME=${CHAOS_NAME:-apus-chaos}
CHAOS_NODES=${CHAOS_NODES:-3}
chaos_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deploy_folder=$(dirname "$chaos_folder")
APUS_BIN=${APUS_BIN:-$(dirname "$deploy_folder")/.build/release}

say() { echo "chaos: $*" >&2; }
stop() { say "$*"; exit 1; }
usage() { echo "usage: $*" >&2; exit 64; }

case $CHAOS_IN in
processes | containers)
    # shellcheck disable=SC1090,SC1091 # one of the two files beside this one
    source "$chaos_folder/lib/$CHAOS_IN.sh"
    ;;
*) usage "CHAOS_IN is containers or processes" ;;
esac

node_names() {
    local number
    for ((number = 1; number <= CHAOS_NODES; number++)); do echo "node$number"; done
}

# node1 founded the cluster and has the authority's key: who loses that disk needs its backup, and no other
# cure.
founder=node1

# A line of the history: FAULT ACT NODE [DETAIL]
note() {
    printf '{"at":%s,"fault":"%s","act":"%s","node":"%s"%s}\n' \
        "$(date +%s%3N)" "$1" "$2" "$3" "${4:+,\"detail\":\"$4\"}" >> "$CHAOS_DIR/history.jsonl"
    say "$2 $1 $3 ${4:+($4)}"
}

# Calls `inject NODE` or `heal NODE` of a fault's script, with a line in the history before or behind it.
run_fault() {
    local fault act=${1:-} node=${2:-}
    fault=$(basename "$0")
    [[ $'\n'$(node_names)$'\n' == *$'\n'$node$'\n'* ]] \
        || usage "$fault inject|heal NODE, a NODE being $(node_names | tr '\n' ' ')"
    case $act in
    inject)
        note "$fault" inject "$node" "$(declare -F describe > /dev/null && describe)"
        inject "$node"
        # Docker takes its time, and serves meanwhile: the fault began at the latest now.
        if [[ $CHAOS_IN == containers && $fault =~ ^(kill|pause|restart|lost-volume)$ ]]; then
            note "$fault" struck "$node"
        fi
        ;;
    heal)
        heal "$node"
        note "$fault" heal "$node"
        ;;
    *) usage "$fault inject|heal NODE" ;;
    esac
}

# Repeats a command until it succeeds: SECONDS COMMAND...
until_within() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.2
    done
}

# MARK: libchaos.so, see faults.c

control_lines=(fsync-delay-ms kill-at-fsync clock-offset-s)

control_make() { # FILE
    printf '%-20s%+011d\n' "${control_lines[0]}" 0 "${control_lines[1]}" 0 "${control_lines[2]}" 0 > "$1"
}

control_row() { # NAME
    local row
    for row in "${!control_lines[@]}"; do
        [[ ${control_lines[row]} == "$1" ]] && echo "$row" && return
    done
    return 1
}

control_set() { # NODE NAME NUMBER
    printf '%+011d' "$3" \
        | dd of="$(node_control "$1")" conv=notrunc bs=1 seek=$(($(control_row "$2") * 32 + 20)) status=none
}

control_get() { # NODE NAME
    local text
    text=$(dd if="$(node_control "$1")" bs=1 skip=$(($(control_row "$2") * 32 + 20)) count=11 status=none)
    echo $((10#${text#[+-]}))
}

# MARK: The network of a node

# Drops what comes from other nodes: NODE [MATCH...]. What goes to them still goes.
drop_incoming() {
    local node=$1 other
    shift
    for other in $(node_names); do
        [[ $other == "$node" ]] || node_iptables "$node" -A INPUT -s "$(node_address "$other")" "$@" -j DROP
    done
}

drop_outgoing() {
    local node=$1 other
    shift
    for other in $(node_names); do
        [[ $other == "$node" ]] || node_iptables "$node" -A OUTPUT -d "$(node_address "$other")" "$@" -j DROP
    done
}

# The tables of a node's namespace belong to the trial alone.
network_heal() { # NODE
    node_iptables "$1" -F INPUT 2> /dev/null || true
    node_iptables "$1" -F OUTPUT 2> /dev/null || true
}

# MARK: The cluster

json_number() { # NAME < JSON
    sed -nE "0,/\"$1\":/s/.*\"$1\":([0-9]+).*/\1/p"
}

node_serves() { in_client apus status --node "$(node_url "$1")" > /dev/null 2>&1; } # NODE

# Every node serves, and every partition has an owner and all its copies.
is_whole() {
    local node description name
    for node in $(node_names); do node_serves "$node" || return 1; done
    description=$(in_client apus cluster show --json --node "$(node_url "$founder")" 2> /dev/null) || return 1
    for name in partitionsAtRisk partitionsWithoutOwner partitionsOffline; do
        [[ $(json_number "$name" <<< "$description") == 0 ]] || return 1
    done
}

# What is missing, in few words.
describe_cluster() {
    local node missing=
    for node in $(node_names); do node_serves "$node" || missing+="$node does not serve; "; done
    in_client apus cluster show --json --node "$(node_url "$founder")" 2> /dev/null \
        | grep -oE '"(partitionsAtRisk|partitionsWithoutOwner|partitionsOffline)":[1-9][0-9]*' \
        | tr -d '"' | tr '\n' ' ' | sed "s/^/$missing/" || echo "$missing"
}

wait_whole() { until_within "$1" is_whole; } # SECONDS

# A node whose disk was lost stays in the list until somebody says that it will never come back.
forget_lost_nodes() {
    local url number
    url=$(node_url "$founder")
    for number in $(in_client apus cluster nodes --node "$url" | awk '$2 == "down" {print $1}'); do
        in_client apus cluster leave "$number" --node "$url" >> "$CHAOS_DIR/init.log" 2>&1 || return 1
    done
}

form_cluster() {
    local urls=() node
    for node in $(node_names); do urls+=("$(node_url "$node")"); done
    in_client cluster-init "${urls[@]}" >> "$CHAOS_DIR/init.log" 2>&1
}
